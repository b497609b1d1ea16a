"""The gateways of the tests do with requests and answers what AWS's do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.function.answers import Malformed
from tests.function.events import GATEWAYS, Asked, HttpApi, LoadBalancer, RestApi, decoded_twice

ANSWER = {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "there", "isBase64Encoded": False}
GET = Asked("GET", "/orders")


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ("/a/plain", "/a/plain"),
        ("/a/space%20value", "/a/space value"),
        ("/a/question%3Fvalue", "/a/question"),
        ("/a/percent%25done", None),
        ("/a/slash%2Fvalue", "/a/slash/value"),
        ("/a/unicode-%CE%BB", "/a/unicode-λ"),
        ("/a/literal%252Fvalue", "/a/literal/value"),
        ("/a/literal%253Fvalue", "/a/literal?value"),
        ("/a/literal%2525value", "/a/literal%value"),
        ("/a/%FF", None),
    ],
)
def test_an_http_api_decodes_a_path_twice(sent: str, given: str | None) -> None:
    assert decoded_twice(sent) == given


@pytest.mark.parametrize(
    ("gateway", "path"),
    [
        ("http-api", "/orders/a b"),
        ("http-api-stage", "/dev/orders/a b"),
        ("http-api-1.0", "/orders/a b"),
        ("rest-api", "/orders/a%20b"),
        ("load-balancer", "/orders/a%20b"),
        ("function-url", "/orders/a%20b"),
    ],
)
def test_a_path_comes_as_the_gateway_has_it(gateway: str, path: str) -> None:
    event = GATEWAYS[gateway].event(Asked("GET", "/orders/a%20b"))
    assert event.get("rawPath", event.get("path")) == path


def test_a_base_path_comes_with_the_path() -> None:
    event = RestApi(base_path="shop").event(GET)
    assert (event["path"], event["requestContext"]["path"]) == ("/shop/orders", "/shop/orders")


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [("application/json; charset=utf-8", True), ("text/plain", True), ("application/problem+json", False), ("", False)],
)
def test_an_http_api_gives_text_of_few_types_as_it_is(content_type: str, is_text: bool) -> None:
    asked = Asked("POST", "/orders", headers=(("Content-Type", content_type),), body=b"{}")
    assert HttpApi().event(asked)["isBase64Encoded"] is not is_text
    assert RestApi().event(asked)["isBase64Encoded"] is False
    assert RestApi(is_binary=True).event(asked)["isBase64Encoded"] is True


@pytest.mark.parametrize(
    ("gateway", "changes"),
    [
        ("rest-api", {"statusCode": "two hundred"}),
        ("rest-api", {"body": {"a": 1}}),
        ("rest-api", {"cookies": ["a=1"]}),
        ("rest-api", {"headers": {"a": ["b"]}}),
        ("rest-api", {"multiValueHeaders": {"a": "b"}}),
        ("http-api", {"cookies": "a=1"}),
        ("http-api", {"body": "%", "isBase64Encoded": True}),
        ("http-api", {"statusCode": 700}),
        ("http-api", {"body": "x" * 7_000_000}),
        ("load-balancer", {}),
        ("load-balancer-single", {"multiValueHeaders": {"a": ["b"]}}),
        ("load-balancer-single", {"statusCode": "200"}),
        ("load-balancer-single", {"body": "x" * 1_100_000}),
    ],
)
def test_an_answer_of_a_wrong_form_is_refused(gateway: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        GATEWAYS[gateway].answer({**ANSWER, **changes}, GET)


@pytest.mark.parametrize("gateway", ["http-api", "http-api-1.0", "rest-api", "load-balancer-single", "function-url"])
def test_one_of_the_right_form_is_handed_on(gateway: str) -> None:
    assert GATEWAYS[gateway].answer(ANSWER, GET) == (200, [("content-type", "text/plain")], b"there")


def test_a_rest_api_without_binary_types_gives_base64_as_it_is() -> None:
    answer = {**ANSWER, "body": "dGhlcmU=", "isBase64Encoded": True}
    assert RestApi().answer(answer, GET).body == b"dGhlcmU="
    assert RestApi(is_binary=True).answer(answer, GET).body == b"there"


def test_what_an_http_api_does_not_know_for_an_answer_is_one() -> None:
    assert HttpApi().answer({"a": 1}, GET) == (200, [("content-type", "application/json")], b'{"a": 1}')


def test_a_load_balancer_that_takes_one_value_carries_nothing_that_repeats() -> None:
    twice = Asked("GET", "/orders", "status=paid&status=shipped")
    assert not LoadBalancer(is_multi_value=False).carries(twice)
    assert LoadBalancer(is_multi_value=True).carries(twice)
