"""Secrets that the values name and the cluster does not have: said before anything is changed, with what makes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.charts import Chart, Refused, Values
from tests.deploy.documents import environment, pods
from tests.kubernetes_api import KubernetesApi

DATABASE = "order-lifecycle-database"
EVERYTHING: Values = {
    "database.tls.client.existingSecret": {"name": "database-client"},
    "database.users.api.existingSecret": {"name": "reader"},
    "database.sslMode": "verify-full",
    "temporal.tls.ca.existingSecret": {"name": "temporal-ca"},
    "temporal.apiKey.existingSecret": {"name": "cloud"},
    "encryption.existingSecret": {"name": "keys"},
    "payments": {"provider": "stripe", "stripe": {"existingSecret": {"name": "stripe"}}},
    "webhooks.carrier.existingSecret": {"name": "carriers"},
    "webhooks.stripe.existingSecret": {"name": "stripe-webhooks"},
    "api.cursorSecret.existingSecret": {"name": "cursors"},
    "telemetry.headers.existingSecret": {"name": "collector"},
    "tests.token.existingSecret": {"name": "token"},
}


@pytest.fixture
def cluster() -> Iterator[KubernetesApi]:
    """A cluster with the namespace of the release, and nothing in it."""
    api = KubernetesApi()
    api.has("orders", "serviceaccounts", "default")
    yield api
    api.close()


@pytest.fixture
def installed(helm: str, cluster: KubernetesApi) -> Chart:
    return Chart(helm, cluster=cluster.url)


def test_a_secret_that_is_not_there_is_named_with_the_command_that_makes_it(installed: Chart) -> None:
    (line,) = installed.refusal({}).splitlines()
    assert line.startswith(f"database.existingSecret: the namespace orders has no Secret {DATABASE}: ")
    assert f"kubectl --namespace orders create secret generic {DATABASE} --from-file=url=FILE" in line


def test_a_secret_without_the_key_is_told_apart(installed: Chart, cluster: KubernetesApi) -> None:
    cluster.has("orders", "secrets", DATABASE, data={"URL": ""})
    (line,) = installed.refusal({}).splitlines()
    assert line.startswith(f"database.existingSecret: the Secret {DATABASE} of the namespace orders has no key url: ")


def test_every_secret_that_pods_need_is_looked_for(installed: Chart) -> None:
    names = [line.partition(": ")[0] for line in installed.refusal(EVERYTHING).splitlines()]
    assert sorted(names) == sorted(
        [
            "api.cursorSecret.existingSecret",
            "database.existingSecret",
            "database.tls.client.existingSecret",
            "database.users.api.existingSecret",
            "encryption.existingSecret",
            "payments.stripe.existingSecret",
            "telemetry.headers.existingSecret",
            "temporal.apiKey.existingSecret",
            "temporal.tls.ca.existingSecret",
            "tests.token.existingSecret",
            "webhooks.carrier.existingSecret",
            "webhooks.stripe.existingSecret",
        ]
    )


def test_with_its_secrets_it_installs(installed: Chart, cluster: KubernetesApi) -> None:
    cluster.has("orders", "secrets", DATABASE, data={"url": ""})
    assert installed.render()


def test_each_process_gets_the_url_of_its_own_user_of_the_database_and_nobody_the_shared_one(
    installed: Chart, cluster: KubernetesApi
) -> None:
    cluster.has("orders", "secrets", "users", data={"api": "", "workers": "", "migrations": ""})
    users = {name: {"existingSecret": {"name": "users", "key": name}} for name in ("api", "workers", "migrations")}
    taken = {
        (pod.component, container["name"], environment(container)["DATABASE_URL"]["secretKeyRef"]["key"])
        for mode in ("hook", "init")
        for pod in pods(installed.render({"database.users": users, "migrations.mode": mode}))
        for container in pod.containers
        if "DATABASE_URL" in environment(container)
    }
    assert taken == {
        ("api", "api", "api"),
        ("api", "migrations", "migrations"),
        ("migrations", "migrations", "migrations"),
        ("worker", "worker", "workers"),
        ("worker", "migrations", "migrations"),
    }


def test_who_makes_secrets_later_can_say_so(installed: Chart) -> None:
    assert installed.render({"checks.secrets": False})


def test_a_namespace_that_is_yet_to_be_made_is_not_asked(helm: str, cluster: KubernetesApi) -> None:
    cluster.objects.clear()
    assert Chart(helm, cluster=cluster.url).render()


def test_helm_3_asks_alike(older_helm: str, cluster: KubernetesApi) -> None:
    with pytest.raises(Refused, match=f"has no Secret {DATABASE}"):
        Chart(older_helm, cluster=cluster.url).render()
