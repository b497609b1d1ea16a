"""Installs and upgrades: what rolls pods and what does not, in which order, and with which secrets."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.charts import CHART, Chart, Values
from tests.deploy.documents import Document, environment, is_hook, name_of, one, pods
from tests.deploy.references import wanted_by_pod

HELM_S_TIMEOUT = 300
"""How long, in seconds, `helm upgrade` waits for a hook without `--timeout`: `helm upgrade --help`."""
SECRETS: Values = {
    "temporal.apiKey.existingSecret": {"name": "cloud"},
    "payments": {"provider": "stripe", "stripe": {"existingSecret": {"name": "stripe"}}},
    "encryption.existingSecret": {"name": "encryption"},
    "webhooks.carrier.existingSecret": {"name": "carriers"},
    "webhooks.stripe.existingSecret": {"name": "stripe", "key": "signing"},
    "api.cursorSecret.existingSecret": {"name": "cursors"},
    "telemetry.headers.existingSecret": {"name": "collector"},
    "tests.token.existingSecret": {"name": "token"},
}


def templates(documents: list[Document]) -> dict[str, Any]:
    """The pods that keep running, by what makes them."""
    kept = [pod for pod in pods(documents) if pod.owner["kind"] == "Deployment"]
    return {name_of(pod.owner): [pod.metadata, pod.spec] for pod in kept}


@pytest.fixture(scope="module")
def next_chart(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The same chart with a later version of it."""
    folder = tmp_path_factory.mktemp("chart") / CHART.name
    shutil.copytree(CHART, folder)
    text = (folder / "Chart.yaml").read_text()
    assert "\nversion: 0.1.0\n" in text
    (folder / "Chart.yaml").write_text(text.replace("\nversion: 0.1.0\n", "\nversion: 0.2.0\n"))
    return Chart(helm, folder)


def test_a_new_chart_alone_rolls_no_pod(chart: Chart, next_chart: Chart) -> None:
    before, after = chart.render(), next_chart.render()
    assert before != after
    assert templates(before) == templates(after)


def test_a_new_chart_alone_migrates_nothing_anew(chart: Chart, next_chart: Chart) -> None:
    jobs = [one(each.render({"migrations.mode": "job"}), "Job") for each in (chart, next_chart)]
    assert jobs[0]["spec"] == jobs[1]["spec"]
    assert jobs[0]["metadata"]["name"] == jobs[1]["metadata"]["name"]


ALL = ["api", "orders", "payments", "shipping"]


@pytest.mark.parametrize(
    ("values", "rolled"),
    [
        ({"settings.LOG_LEVEL": "DEBUG"}, ALL),
        ({"api.settings.REVIEW_MODE": "off"}, ["api"]),
        ({"workers.payments.settings.PAYMENT_LATENCY": 1}, ["payments"]),
        ({"api.replicas": 5, "workerDefaults.replicas": 5}, []),
        ({"api.autoscaling.type": "hpa"}, []),
        ({"networkPolicy.database.port": 6432, "monitoring.rules.enabled": True}, []),
        ({"image.tag": "0.2.0"}, ALL),
    ],
    ids=lambda value: "" if isinstance(value, list) else ",".join(value),
)
def test_a_changed_value_rolls_the_pods_that_it_concerns(chart: Chart, values: Values, rolled: list[str]) -> None:
    before, after = templates(chart.render()), templates(chart.render(values))
    assert sorted(name.rpartition("-")[2] for name in before if before[name] != after[name]) == rolled


def test_no_request_is_lost_in_a_rollout(chart: Chart) -> None:
    api = one(chart.render(), "Deployment", "-api")["spec"]
    assert api["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert api["template"]["spec"]["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


def test_each_process_gets_the_secrets_that_it_needs_alone(chart: Chart) -> None:
    got: dict[str, set[str]] = {}
    for pod in pods(chart.render(SECRETS)):
        name = pod.owner["metadata"]["name"].rpartition("-")[2]
        got[name] = {each.removeprefix("Secret/") for each in wanted_by_pod(pod.spec) if each.startswith("Secret/")}
    database = "order-lifecycle-database/url"
    serving = {database, "cloud/api-key", "encryption/keys", "collector/headers"}
    assert got == {
        "api": serving | {"carriers/secrets", "stripe/signing", "cursors/secret"},
        "orders": serving,
        "payments": serving | {"stripe/api-key"},
        "shipping": serving,
        "migrations": {database},
        "test": {"token/token"},
    }


def test_a_worker_of_several_queues_gets_stripe_s_key_where_payments_is_one(chart: Chart) -> None:
    documents = chart.render({**SECRETS, "workers": {"orders": {"queues": ["orders", "payments"]}, "payments": None}})
    given = {
        pod.owner["metadata"]["name"].rpartition("-")[2]: environment(pod.containers[0]) for pod in pods(documents)
    }
    assert [name for name, each in given.items() if "STRIPE_API_KEY" in each] == ["orders"]


@pytest.mark.parametrize(
    ("mode", "hooks", "jobs", "first"),
    [("hook", 1, 1, False), ("job", 0, 1, False), ("init", 0, 0, True), ("none", 0, 0, False)],
)
def test_migrations_run_where_their_mode_says(chart: Chart, mode: str, hooks: int, jobs: int, first: bool) -> None:
    documents = chart.render({"migrations.mode": mode})
    found = [each for each in documents if each["kind"] == "Job"]
    assert len(found) == jobs
    assert len([each for each in found if is_hook(each)]) == hooks
    running = [pod for pod in pods(documents) if pod.owner["kind"] == "Deployment"]
    assert {bool(pod.spec.get("initContainers")) for pod in running} == {first}
    images = {each["image"] for pod in running for each in pod.spec.get("initContainers") or ()}
    assert images == ({"order-lifecycle-migrate:0.1.0"} if first else set())


def test_the_hook_runs_before_the_rest_of_an_install_and_of_an_upgrade(chart: Chart) -> None:
    job = one(chart.render(), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_a_job_that_failed_does_not_go_on_behind_a_release_that_was_given_up(chart: Chart) -> None:
    job = one(chart.render(), "Job")
    annotations = job["metadata"]["annotations"]
    assert annotations["helm.sh/hook-delete-policy"].split(",")[-1] == "hook-failed"
    # What it said would be gone with it.
    assert annotations["helm.sh/hook-output-log-policy"] == "hook-failed"


def test_helm_waits_longer_for_a_hook_than_it_takes(chart: Chart) -> None:
    job = one(chart.render(), "Job")["spec"]
    assert job["activeDeadlineSeconds"] + job["template"]["spec"]["terminationGracePeriodSeconds"] < HELM_S_TIMEOUT


def test_migrations_that_nobody_waits_for_have_an_hour(chart: Chart) -> None:
    assert one(chart.render({"migrations.mode": "job"}), "Job")["spec"]["activeDeadlineSeconds"] == 3600


@pytest.mark.parametrize("mode", ["hook", "job"])
def test_migrations_have_the_time_that_is_set(chart: Chart, mode: str) -> None:
    values: Values = {"migrations": {"mode": mode, "activeDeadlineSeconds": 900, "terminationGracePeriodSeconds": 600}}
    job = one(chart.render(values), "Job")["spec"]
    assert job["activeDeadlineSeconds"] == 900
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] == 600


def test_no_hook_runs_after_an_install_which_would_wait_for_pods_that_wait_for_it(chart: Chart) -> None:
    for file in ("default", "full"):
        when = {each["metadata"]["annotations"]["helm.sh/hook"] for each in chart.render(file=file) if is_hook(each)}
        assert when == {"pre-install,pre-upgrade", "test"}


def test_another_job_is_made_of_whatever_changes_it(chart: Chart) -> None:
    values: Values = {"migrations.mode": "job"}
    changed: list[Values] = [{"image.tag": "0.2.0"}, {"settings.LOG_LEVEL": "DEBUG"}, {"migrations.backoffLimit": 1}]
    names = [one(chart.render({**values, **each}), "Job")["metadata"]["name"] for each in ({}, *changed)]
    assert len(set(names)) == 4
    same = one(chart.render({**values, "api.replicas": 7}), "Job")["metadata"]["name"]
    assert same == names[0]


def test_an_image_is_taken_by_its_digest_where_there_is_one(chart: Chart) -> None:
    digest = f"sha256:{'0' * 64}"
    documents = chart.render({"image.registry": "registry.example.com/shop", "api.image.digest": digest})
    images = {pod.component: pod.containers[0]["image"] for pod in pods(documents)}
    assert images == {
        "api": f"registry.example.com/shop/order-lifecycle-api@{digest}",
        "worker": "registry.example.com/shop/order-lifecycle-worker:0.1.0",
        "migrations": "registry.example.com/shop/order-lifecycle-migrate:0.1.0",
        "test": "registry.example.com/shop/order-lifecycle-cli:0.1.0",
    }


def test_what_helm_tests_is_the_service(chart: Chart) -> None:
    documents = chart.render({"api.service.port": 80})
    container = one(documents, "Pod")["spec"]["containers"][0]
    assert container["args"] == ["smoke", "--sku", "ABC123", "--payment-method", "tok_visa", "--timeout", "120"]
    service = one(documents, "Service")
    assert environment(container)["ORDERS_URL"] == f"http://{service['metadata']['name']}:80"
    assert service["spec"]["ports"][0]["port"] == 80


def test_the_chart_that_is_packaged_has_no_tests_values(helm: str, tmp_path: Path) -> None:
    subprocess.run([helm, "package", str(CHART), "--destination", str(tmp_path)], check=True, capture_output=True)
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as file:
        names = file.getnames()
    assert "order-lifecycle/files/alerts.yaml" in names
    assert not [name for name in names if "/ci/" in name]
