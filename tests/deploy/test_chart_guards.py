"""What can't work, or would be open, is refused, in one line that names the value; what the line advises helps."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.deploy.charts import CHART, Chart, Values
from tests.deploy.given import DEFAULTS

SECRET = {"name": "existing"}
OWN = {"existingSecret": SECRET}
INGRESS = {"api.ingress.enabled": True, "api.ingress.hosts": ["orders.example.com"]}
ROUTE = {"api.httpRoute.enabled": True, "api.httpRoute.parentRefs": [{"name": "public"}]}
JWT = {
    "auth.mode": "jwt",
    "auth.issuer": "https://issuer.example.com/",
    "auth.audience": ["orders"],
    "auth.jwksUrl": "https://issuer.example.com/jwks",
    "tests.token.existingSecret": SECRET,
}
KEDA = {"workers.payments.autoscaling.type": "keda"}
HPA = {"workers.payments.autoscaling.type": "hpa"}
CONTROLLER = {"workerVersioning.mode": "controller"}
GATEWAY = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}]

TWICE = [{"name": "TZ", "value": "UTC"}, {"name": "TZ", "value": "CET"}]

GUARDS: dict[str, tuple[Values, str, Values]] = {
    "tokens of no issuer": ({**JWT, "auth.issuer": ""}, "auth.issuer: ", JWT),
    "tokens for nobody": ({**JWT, "auth.audience": []}, "auth.audience: ", JWT),
    "tokens without keys": ({**JWT, "auth.jwksUrl": ""}, "auth.jwksUrl: ", JWT),
    "helm test without a token": (
        {**JWT, "tests.token.existingSecret": {}},
        "tests.token.existingSecret.name: ",
        {"tests.enabled": False},
    ),
    "an issuer that is not asked": (
        {"auth.issuer": "https://issuer.example.com/"},
        "auth.mode: it is none",
        JWT,
    ),
    "two ways to the API": ({**JWT, **INGRESS, **ROUTE}, "api.httpRoute.enabled: ", {"api.ingress.enabled": False}),
    "an ingress without a host": (
        {**JWT, **INGRESS, "api.ingress.hosts": []},
        "api.ingress.hosts: ",
        {"api.ingress.hosts": ["orders.example.com"]},
    ),
    "a route without a gateway": (
        {**JWT, **ROUTE, "api.httpRoute.parentRefs": []},
        "api.httpRoute.parentRefs: ",
        {"api.httpRoute.parentRefs": [{"name": "public"}]},
    ),
    "an ingress for anybody": (INGRESS, "api.ingress.enabled: with auth.mode=none anybody", JWT),
    "a route for anybody": (ROUTE, "api.httpRoute.enabled: with auth.mode=none anybody", JWT),
    "an ingress that reaches nobody": (
        {**INGRESS, "auth.acceptNone": True},
        "networkPolicy.api.from: ",
        {"networkPolicy.api.from": GATEWAY},
    ),
    "a route that reaches nobody": (
        {**ROUTE, "auth.acceptNone": True},
        "networkPolicy.api.from: ",
        {"networkPolicy.api.from": GATEWAY},
    ),
    "an API for every pod of the cluster": (
        {"networkPolicy.enabled": False},
        "networkPolicy.enabled: with auth.mode=none",
        {"auth.acceptNone": True},
    ),
    "a name that a service can't have": (
        {"fullnameOverride": "1shop"},
        "fullnameOverride: objects would be called 1shop-…",
        {"fullnameOverride": "shop"},
    ),
    "a secret that comes after the migrations": (
        {"extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "order-lifecycle-database"}}]},
        "migrations.mode: the hook needs the Secret order-lifecycle-database",
        {"migrations.mode": "job"},
    ),
    "a user of the migrations who comes after them": (
        {
            "database.users.migrations.existingSecret": {"name": "owner"},
            "extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owner"}}],
        },
        "migrations.mode: the hook needs the Secret owner",
        {"migrations.mode": "job"},
    ),
    "no database for one of three": (
        {"database.existingSecret": {"name": ""}, "database.users": {"api": OWN, "workers": OWN}},
        "database.existingSecret.name: ",
        {"database.users": {"api": OWN, "workers": OWN, "migrations": OWN}},
    ),
    "a variable of the API that stands there twice": (
        {"api.extraEnv": TWICE},
        "api.extraEnv: TZ stands there twice",
        {"api.extraEnv": TWICE[1:]},
    ),
    "a variable of a worker that stands there twice": (
        {"workers.payments.extraEnv": TWICE},
        "workers.payments.extraEnv: TZ stands there twice",
        {"workers.payments.extraEnv": TWICE[1:]},
    ),
    "no database": (
        {"database.existingSecret": {"name": ""}},
        "database.existingSecret.name: ",
        {"database.existingSecret": SECRET},
    ),
    "certificates that are not used": (
        {"database.sslMode": "disable", "database.tls.ca.existingSecret": SECRET},
        "database.sslMode: ",
        {"database.sslMode": "verify-full"},
    ),
    "a server that nothing vouches for": (
        {"database.sslMode": "verify-ca"},
        "database.tls.ca.existingSecret.name: ",
        {"database.tls.ca.existingSecret": SECRET},
    ),
    "a server's name without encryption": (
        {"temporal.tls.serverName": "temporal.example.com"},
        "temporal.tls.serverName: ",
        {"temporal.tls.enabled": True},
    ),
    "metrics for no collector": (
        {"telemetry.otlp.metrics": True},
        "telemetry.otlp.endpoint: ",
        {"telemetry.otlp.endpoint": "http://otel-collector.monitoring:4318"},
    ),
    "stripe without a key": (
        {"payments.provider": "stripe"},
        "payments.stripe.existingSecret.name: ",
        {"payments.stripe.existingSecret": SECRET},
    ),
    "a monitor of pods that tell nothing": (
        {"telemetry.prometheus": False, "monitoring.podMonitor.enabled": True},
        "monitoring.podMonitor.enabled: ",
        {"telemetry.prometheus": True},
    ),
    "a monitor of services that tell nothing": (
        {"telemetry.prometheus": False, "monitoring.serviceMonitor.enabled": True},
        "monitoring.serviceMonitor.enabled: ",
        {"telemetry.prometheus": True},
    ),
    "an API that is cut off": (
        {"api.settings": {"API_TIMEOUT": 60}},
        "api.terminationGracePeriodSeconds: 40 is not more than the 73 s",
        {"api.terminationGracePeriodSeconds": 75},
    ),
    "a worker that is cut off": (
        {"workers.payments.terminationGracePeriodSeconds": 38},
        "workers.payments.terminationGracePeriodSeconds: 38 is not more than the 38 s",
        {"workers.payments.terminationGracePeriodSeconds": 39},
    ),
    "an API of which none may go": (
        {"api.podDisruptionBudget.maxUnavailable": 0},
        "api.podDisruptionBudget.maxUnavailable: ",
        {"api.podDisruptionBudget.maxUnavailable": 1},
    ),
    "a worker of which none may go": (
        {"workers.orders.podDisruptionBudget.maxUnavailable": "0%"},
        "workers.orders.podDisruptionBudget.maxUnavailable: ",
        {"workers.orders.podDisruptionBudget.maxUnavailable": "50%"},
    ),
    "more than there may be": (
        {**HPA, "workers.payments.autoscaling.minReplicas": 11},
        "workers.payments.autoscaling.maxReplicas: 10 is less than minReplicas, 11",
        {"workers.payments.autoscaling.maxReplicas": 11},
    ),
    "a share of nothing": (
        {"api.autoscaling.type": "hpa", "api.resources": {"requests": {"cpu": None}}},
        "api.resources.requests.cpu: ",
        {"api.resources": {"requests": {"cpu": "100m"}}},
    ),
    "a queue of two workers": (
        {"workers.express.queues": ["shipping"]},
        "workers.shipping.queues: the queue shipping is that of workers.express too",
        {"workers.shipping": None},
    ),
    "a queue of nobody": (
        {"workers.shipping": None},
        "workers: nobody works on the queue shipping",
        {"checks.queues": False},
    ),
    "tasks that KEDA does not know": (
        {"workers.returns": {"autoscaling": {"type": "keda"}}},
        "workers.returns.queueTypes: ",
        {"workers.returns": {"autoscaling": {"type": "keda"}, "queueTypes": ["activity"]}},
    ),
    "KEDA and versions of a controller": (
        {**KEDA, **CONTROLLER},
        "workers.payments.autoscaling.type: keda can't scale the versions",
        HPA,
    ),
    "KEDA that would not encrypt": (
        {**KEDA, "temporal.tls.enabled": True},
        "workers.payments.autoscaling.type: KEDA encrypts",
        {"temporal.apiKey.existingSecret": SECRET},
    ),
    "KEDA with a key and a CA": (
        {**KEDA, "temporal.apiKey.existingSecret": SECRET, "temporal.tls.ca.existingSecret": SECRET},
        "workers.payments.autoscaling.type: KEDA with an API key trusts public CAs only",
        HPA,
    ),
    "a version that nobody asks for": (
        {"workerVersioning.buildId": "1.2.3"},
        "workerVersioning.buildId: it is for workerVersioning.mode=env",
        {"workerVersioning.mode": "env"},
    ),
    "a version without a name": (
        {"workerVersioning.mode": "env", "workers.orders.image.digest": f"sha256:{'a' * 64}"},
        "workerVersioning.buildId: the image of workers.orders has a digest",
        {"workerVersioning.buildId": "1.2.3"},
    ),
    "a version that can't be a label": (
        {"workerVersioning.mode": "env", "workers.orders.image.tag": "1.0-"},
        "workerVersioning.buildId: the tag of workers.orders can't be a label",
        {"workerVersioning.buildId": "1.0"},
    ),
    "two proofs for a controller": (
        {**CONTROLLER, "temporal.apiKey.existingSecret": SECRET, "temporal.tls.client.existingSecret": SECRET},
        "temporal.apiKey.existingSecret.name: ",
        {"temporal.tls.client.existingSecret": {"name": ""}},
    ),
    "a controller that would not encrypt": (
        {**CONTROLLER, "temporal.tls.enabled": True},
        "workerVersioning.mode: Temporal's worker controller encrypts",
        {"temporal.apiKey.existingSecret": SECRET},
    ),
    "a controller with a key and a CA": (
        {**CONTROLLER, "temporal.apiKey.existingSecret": SECRET, "temporal.tls.ca.existingSecret": SECRET},
        "temporal.tls.ca.existingSecret.name: ",
        {"temporal.tls.ca.existingSecret": {"name": ""}},
    ),
    "a certificate that a controller does not find": (
        {**CONTROLLER, "temporal.tls.client.existingSecret": {**SECRET, "certificateKey": "client.pem"}},
        "temporal.tls.client.existingSecret: ",
        {"temporal.tls.client.existingSecret": SECRET},
    ),
}
each_guard = pytest.mark.parametrize(("values", "said", "remedy"), GUARDS.values(), ids=GUARDS)


@each_guard
def test_it_is_refused_in_one_line_that_names_the_value(
    chart: Chart, values: Values, said: str, remedy: Values
) -> None:
    (line,) = chart.refusal(values).splitlines()
    assert line.startswith(said)


@each_guard
def test_what_is_advised_helps(chart: Chart, values: Values, said: str, remedy: Values) -> None:
    assert chart.render({**values, **remedy})


@each_guard
def test_the_value_that_is_named_is_one_that_there_is(values: Values, said: str, remedy: Values) -> None:
    named = said.partition(":")[0].split(".")
    if named[0] == "workers" and named[1:]:
        named = ["workerDefaults", *named[2:]]
    place = DEFAULTS
    for part in named:
        assert part in place
        place = place[part]


def test_every_guard_of_the_chart_is_among_these() -> None:
    text = re.sub(r"{{/\*.*?\*/}}", "", (CHART / "templates" / "_guards.tpl").read_text(), flags=re.DOTALL)
    names = [line.partition(": ")[0] for line in text.splitlines() if re.match(r"(?!{{-)\S.*: ", line)]
    # A name may have parts that only a render has.
    patterns = {name: re.sub(r"\\{\\{.*?\\}\\}", "[a-zA-Z.]+", re.escape(name)) for name in names}
    for name, count in Counter(names).items():
        cases = {said for _, said, _ in GUARDS.values() if re.fullmatch(patterns[name], said.partition(":")[0])}
        assert len(cases) >= count, name


def test_all_that_is_wrong_is_said_at_once(chart: Chart) -> None:
    lines = chart.refusal({**INGRESS, "telemetry.otlp.metrics": True, "workers.shipping": None}).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["api.ingress.enabled", "telemetry.otlp.endpoint", "workers"]


@pytest.mark.parametrize(
    ("needed", "made"),
    [
        ("database", {"kind": "ExternalSecret", "metadata": {"name": "v"}, "spec": {"target": {"name": "existing"}}}),
        ("database.tls.ca", {"kind": "ExternalSecret", "metadata": {"name": "existing"}, "spec": {}}),
        ("database.tls.client", {"kind": "SealedSecret", "metadata": {"name": "existing"}}),
        ("database.tls.client", {"kind": "Secret", "metadata": {"name": "existing"}}),
    ],
    ids=str,
)
def test_whatever_makes_a_secret_too_late_for_a_hook_is_refused(chart: Chart, needed: str, made: Values) -> None:
    values: Values = {f"{needed}.existingSecret": SECRET, "extraObjects": [made]}
    assert "the hook needs the Secret existing" in chart.refusal(values)


def test_secrets_that_the_hook_does_not_need_and_those_that_hooks_make_before_it_are_let_through(chart: Chart) -> None:
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stripe"}}
    first = {"name": "order-lifecycle-database", "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}}
    assert chart.render({"extraObjects": [other, {"apiVersion": "v1", "kind": "Secret", "metadata": first}]})


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (45, 45),
        ("45", 45),
        ("44.2", 45),
        (0.5, 1),
        ("PT1M30S", 90),
        ("PT1H", 3600),
        ("P1DT1S", 86401),
        ("00:01:30", 90),
    ],
)
def test_a_time_is_read_as_the_settings_read_it(chart: Chart, time: float | str, seconds: int) -> None:
    values: Values = {
        "settings": {"WORKER_GRACEFUL_SHUTDOWN": time},
        "workerDefaults.terminationGracePeriodSeconds": seconds + 8,
    }
    assert f" {seconds + 8} is not more than the {seconds + 8} s" in chart.refusal(values)
