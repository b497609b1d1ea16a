"""The network: nobody may talk to anybody, but for what is named; and who may reach the API from outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.charts import Chart, Values
from tests.deploy.documents import Document, Pod, is_hook, of_kind, one, pods
from tests.deploy.network import may_reach, openings

DNS = {"53/UDP *@name=kube-system", "53/TCP *@name=kube-system"}
METRICS = "9464/TCP *@name=monitoring"
SERVERS = DNS | {"5432/TCP anybody", "7233/TCP anybody"}
TEST = "component=test,instance=shop,name=order-lifecycle"
API = TEST.replace("test", "api")
JWT: Values = {
    "auth.mode": "jwt",
    "auth.issuer": "https://issuer.example.com/",
    "auth.audience": ["orders"],
    "auth.jwksUrl": "https://issuer.example.com/jwks",
    "tests.token.existingSecret": {"name": "token"},
}
STRIPE: Values = {"payments.provider": "stripe", "payments.stripe.existingSecret": {"name": "stripe"}}
GATEWAY = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}


def of_component(documents: list[Document], component: str, ends: str = "") -> Pod:
    found = [each for each in pods(documents) if each.component == component]
    return next(each for each in found if each.owner["metadata"]["name"].endswith(ends))


def test_every_pod_may_do_nothing_that_is_not_named(chart: Chart) -> None:
    for pod in pods(chart.render()):
        assert openings(chart.render(), pod, "ingress") is not None, pod.owner
        assert openings(chart.render(), pod, "egress") is not None, pod.owner


@pytest.mark.parametrize(
    ("component", "ingress", "egress"),
    [
        ("api", {f"8000/TCP {TEST}", METRICS}, SERVERS),
        ("worker", {METRICS}, SERVERS),
        ("migrations", set(), DNS | {"5432/TCP anybody"}),
        ("test", set(), DNS | {f"8000/TCP {API}"}),
    ],
)
def test_a_pod_reaches_what_it_needs_and_no_more(
    chart: Chart, component: str, ingress: set[str], egress: set[str]
) -> None:
    pod = of_component(chart.render(), component)
    assert openings(chart.render(), pod, "ingress") == ingress
    assert openings(chart.render(), pod, "egress") == egress


def test_the_test_reaches_the_api_and_nobody_else_within_the_release_does(chart: Chart) -> None:
    documents = chart.render()
    api = of_component(documents, "api")
    reaching = {pod.component for pod in pods(documents) if may_reach(documents, pod, api, 8000)}
    assert reaching == {"test"}
    assert not may_reach(documents, of_component(documents, "test"), api, 9464)


def test_with_tokens_anybody_may_ask_the_api_and_the_api_may_fetch_keys(chart: Chart) -> None:
    documents = chart.render(JWT)
    api = of_component(documents, "api")
    assert openings(documents, api, "ingress") == {"8000/TCP anybody", METRICS}
    assert openings(documents, api, "egress") == SERVERS | {"443/TCP anybody"}
    assert openings(documents, of_component(documents, "worker"), "egress") == SERVERS


def test_a_gateway_that_is_named_is_let_in_alone(chart: Chart) -> None:
    for values in (JWT, {}):
        documents = chart.render({**values, "networkPolicy.api.from": [GATEWAY]})
        ingress = openings(documents, of_component(documents, "api"), "ingress")
        assert ingress == {"8000/TCP *@name=gateways", f"8000/TCP {TEST}", METRICS}


def test_only_the_workers_of_payments_reach_stripe(chart: Chart) -> None:
    documents = chart.render(STRIPE)
    for queue, more in (("orders", set()), ("payments", {"443/TCP anybody"}), ("shipping", set())):
        assert openings(documents, of_component(documents, "worker", queue), "egress") == SERVERS | more


def test_servers_can_be_named_by_address_and_port(chart: Chart) -> None:
    documents = chart.render(
        {
            "networkPolicy.database": {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "port": 6432},
            "networkPolicy.temporal": {"to": [{"podSelector": {"matchLabels": {"app": "temporal"}}}]},
            "temporal.address": "temporal:17233",
            "telemetry.otlp.endpoint": "https://collector.example.com",
        }
    )
    egress = openings(documents, of_component(documents, "worker"), "egress")
    assert egress == DNS | {"6432/TCP 10.1.0.0/16", "17233/TCP app=temporal", "443/TCP anybody"}
    migrations = openings(documents, of_component(documents, "migrations"), "egress")
    assert migrations == DNS | {"6432/TCP 10.1.0.0/16"}


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://c:4318", 4318), ("http://c/path", 80), ("https://c", 443), ("https://c:8443/v", 8443)],
)
def test_the_collector_is_reached_at_the_port_of_its_address(chart: Chart, endpoint: str, port: int) -> None:
    documents = chart.render({"telemetry.otlp.endpoint": endpoint})
    egress = openings(documents, of_component(documents, "api"), "egress")
    assert egress == SERVERS | {f"{port}/TCP anybody"}


def test_without_metrics_nobody_is_let_in_for_them(chart: Chart) -> None:
    documents = chart.render({"telemetry.prometheus": False})
    assert openings(documents, of_component(documents, "worker"), "ingress") == set()
    ports = [port["name"] for pod in pods(documents) for each in pod.containers for port in each.get("ports") or ()]
    assert "metrics" not in ports


def test_migrations_of_a_corrected_release_are_not_held_by_the_policies_of_the_one_before(chart: Chart) -> None:
    before = [each for each in chart.render({"networkPolicy.database.port": 1}) if not is_hook(each)]
    corrected = chart.render({"networkPolicy.database.port": 6432})
    job = one(corrected, "Job")
    # What an upgrade changes before the Job runs: hooks of less weight.
    first = [each for each in corrected if is_hook(each) and _weight(each) < _weight(job)]
    egress = openings([*before, *first], of_component(corrected, "migrations"), "egress")
    assert egress == DNS | {"6432/TCP anybody"}


def _weight(hook: Document) -> int:
    return int(hook["metadata"]["annotations"].get("helm.sh/hook-weight", 0))


def test_the_policy_of_migrations_that_no_hook_runs_is_none_either(chart: Chart) -> None:
    policy = one(chart.render({"migrations.mode": "job"}), "NetworkPolicy", "-migrations")
    assert not is_hook(policy)


def test_policies_can_be_left_out(chart: Chart) -> None:
    assert of_kind(chart.render({"networkPolicy.enabled": False, "auth.acceptNone": True}), "NetworkPolicy") == []


INGRESS: Values = {
    **JWT,
    "api.ingress": {"enabled": True, "hosts": ["a.example.com", "b.example.com"], "path": "/shop"},
}
ROUTE: Values = {
    **JWT,
    "api.httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["a.example.com"], "path": "/"},
}


def test_nothing_leads_to_the_api_from_outside_by_default(chart: Chart) -> None:
    kinds = {each["kind"] for each in chart.render()}
    assert not kinds & {"Ingress", "HTTPRoute"}
    assert one(chart.render(), "Service")["spec"]["type"] == "ClusterIP"


def test_an_ingress_leads_each_host_to_the_api(chart: Chart) -> None:
    documents = chart.render(INGRESS)
    rules = one(documents, "Ingress")["spec"]["rules"]
    service: dict[str, Any] = {"name": one(documents, "Service")["metadata"]["name"], "port": {"name": "http"}}
    assert [rule["host"] for rule in rules] == ["a.example.com", "b.example.com"]
    for rule in rules:
        assert rule["http"]["paths"] == [{"path": "/shop", "pathType": "Prefix", "backend": {"service": service}}]


def test_a_route_of_a_gateway_leads_to_the_api(chart: Chart) -> None:
    documents = chart.render({**ROUTE, "api.service.port": 80})
    spec = one(documents, "HTTPRoute")["spec"]
    assert (spec["parentRefs"][0]["name"], spec["hostnames"]) == ("public", ["a.example.com"])
    assert spec["rules"][0]["backendRefs"] == [{"name": one(documents, "Service")["metadata"]["name"], "port": 80}]


@pytest.mark.parametrize("way", [INGRESS, ROUTE], ids=["ingress", "httpRoute"])
def test_neither_leads_to_an_api_for_anybody_unless_that_is_meant(chart: Chart, way: Values) -> None:
    open_api = {key: value for key, value in way.items() if key.startswith("api.")}
    assert "anybody who gets through could do anything" in chart.refusal(open_api)
    assert chart.render({**open_api, "auth.acceptNone": True, "networkPolicy.api.from": [GATEWAY]})
