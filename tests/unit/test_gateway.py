"""What an event of AWS's gateways becomes for the application, and its answer for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from api.function import Function, Invoked
from api.gateway import XRAY_VARIABLE, asked_at, vouched
from api.tracing import own_path
from orders.settings import LambdaSettings, load
from tests.function.answers import Answer
from tests.function.events import GATEWAYS, Asked, FunctionUrl, Gateway, HttpApi, LoadBalancer, RestApi
from tests.unit.test_function import context

KINDS = pytest.mark.parametrize("gateway", GATEWAYS.values(), ids=GATEWAYS.keys())
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
XRAY = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1;Lineage=1:a87bd80c:0"
THEIRS = f"00-{'1' * 32}-{'2' * 16}-01"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked."""
    request = Request(scope, receive)
    asked = {
        "method": request.method,
        "path": own_path(scope),
        "root": scope["root_path"],
        "query": request.query_params.multi_items(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": (await request.body()).hex(),
    }
    await JSONResponse(asked)(scope, receive, send)


@pytest.fixture
def function() -> Iterator[Function]:
    yield from function_of(Invoked(echo))


def function_of(app: Any, **settings: str) -> Iterator[Function]:
    with closing(asyncio.new_event_loop()) as loop:
        yield Function(app, load(LambdaSettings, **settings), loop)


def answer(function: Function, gateway: Gateway, asked: Asked) -> Answer:
    return gateway.answer(function(gateway.event(asked), context()), asked)


def heard(function: Function, gateway: Gateway, asked: Asked) -> dict[str, Any]:
    """What the application was asked."""
    found: dict[str, Any] = json.loads(answer(function, gateway, asked).body)
    return found


@KINDS
def test_a_request_comes_as_it_was_sent_through_every_gateway(function: Function, gateway: Gateway) -> None:
    body = json.dumps({"name": "Żółć 🛒"}, ensure_ascii=False).encode()
    asked = Asked("PUT", "/orders/ord_1/shipping%2Daddress", "q=a%20b%26c&x=%C3%A9&empty=", (("X-One", "ü"),), body)
    found = heard(function, gateway, asked)
    assert (found["method"], found["path"]) == ("PUT", "/orders/ord_1/shipping-address")
    assert found["query"] == [["q", "a b&c"], ["x", "é"], ["empty", ""]]
    assert ["x-one", "ü"] in found["headers"]
    assert bytes.fromhex(found["body"]) == body


@KINDS
def test_the_service_knows_under_which_address_it_is(function: Function, gateway: Gateway) -> None:
    assert heard(function, gateway, Asked("GET", "/orders"))["root"] == gateway.prefix


@pytest.mark.parametrize(
    ("gateway", "path"),
    [(HttpApi("orders"), "/orders"), (RestApi(stage="orders"), "/orders"), (HttpApi("ord"), "/orders")],
)
def test_a_stage_that_is_called_as_a_path_of_ours_is_not_taken_for_it(
    function: Function, gateway: Gateway, path: str
) -> None:
    assert heard(function, gateway, Asked("GET", path))["path"] == path


@pytest.mark.parametrize(
    ("path", "ours", "root"),
    [
        ("/shop/orders", "/orders", "/shop"),
        ("/shop", "/", "/shop"),
        ("/shopping/orders", "/shopping/orders", ""),
        ("/orders", "/orders", ""),
    ],
)
def test_the_path_under_which_a_domain_has_the_service_is_taken_off(path: str, ours: str, root: str) -> None:
    for function in function_of(Invoked(echo), LAMBDA_BASE_PATH="/shop"):
        for gateway in (LoadBalancer(is_multi_value=True), FunctionUrl()):
            found = heard(function, gateway, Asked("GET", path))
            assert (found["path"], found["root"]) == (ours, root)


def test_so_it_is_where_a_rest_api_has_it(function: Function) -> None:
    gateway = RestApi(base_path="shop")
    assert heard(function, gateway, Asked("GET", "/orders"))["path"] == "/shop/orders"
    for placed in function_of(Invoked(echo), LAMBDA_BASE_PATH="/shop"):
        found = heard(placed, gateway, Asked("GET", "/orders"))
        assert (found["path"], found["root"]) == ("/orders", "/shop")


def test_so_it_is_where_an_http_api_has_taken_it_off_already() -> None:
    event = HttpApi().event(Asked("GET", "/orders"))
    for function in function_of(Invoked(echo), LAMBDA_BASE_PATH="/shop"):
        assert json.loads(function(event, context())["body"])["root"] == ""
        event["requestContext"]["domainName"] = "shop.example.com"
        found = json.loads(function(event, context())["body"])
        assert (found["path"], found["root"]) == ("/orders", "/shop")


@pytest.mark.parametrize("name", ["orders", "stats"])
def test_an_address_may_begin_as_one_of_our_paths_does(name: str) -> None:
    for gateway, settings in ((HttpApi(name), {}), (FunctionUrl(), {"LAMBDA_BASE_PATH": f"/{name}"})):
        app = FastAPI()
        app.add_api_route(f"/{name}", lambda: "found")
        for function in function_of(app, **settings):
            path = f"{settings.get('LAMBDA_BASE_PATH', '')}/{name}"
            assert answer(function, gateway, Asked("GET", path)).body == b'"found"'


def test_the_url_of_a_function_is_decoded_once(function: Function) -> None:
    assert heard(function, FunctionUrl(), Asked("GET", "/orders/%2541"))["path"] == "/orders/%41"


@pytest.mark.parametrize("kind", ["rest-api", "http-api-1.0", "load-balancer"])
def test_a_header_that_comes_twice_is_two(function: Function, kind: str) -> None:
    twice = (("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Accept", "text/html"))
    found = heard(function, GATEWAYS[kind], Asked("POST", "/orders", headers=twice))["headers"]
    assert [value for name, value in found if name == "idempotency-key"] == ["a", "b"]


@KINDS
def test_what_is_no_text_comes_byte_by_byte(function: Function, gateway: Gateway) -> None:
    asked = Asked("POST", "/orders", headers=(("Content-Type", "application/octet-stream"),), body=b"\x00\xff\xfe{")
    if gateway.carries(asked):
        assert bytes.fromhex(heard(function, gateway, asked)["body"]) == asked.body


@pytest.mark.parametrize("host", ["[2001:db8::1]:8080", "::1", "x:", "x:80:90", "x:abc"])
@pytest.mark.parametrize("is_multi_value", [True, False])
def test_a_load_balancer_s_client_may_name_any_host(function: Function, host: str, is_multi_value: bool) -> None:
    asked = Asked("GET", "/orders", headers=(("Host", host), ("X-One", "1")))
    found = heard(function, LoadBalancer(is_multi_value=is_multi_value), asked)
    assert {("host", host), ("x-one", "1")} <= {(name, value) for name, value in found["headers"]}


@pytest.mark.parametrize(("body", "length"), [("é".encode(), ["2"]), (b"\xff\x00", ["2"]), (b"", [])])
def test_the_length_of_a_body_is_known_where_the_gateway_does_not_tell(
    function: Function, body: bytes, length: list[str]
) -> None:
    found = heard(function, FunctionUrl(), Asked("POST", "/orders", body=body))
    assert [value for name, value in found["headers"] if name == "content-length"] == length


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_given_no_type(status: int) -> None:
    for function in function_of(Response(status_code=status, headers={"ETag": '"7"'})):
        returned = function(HttpApi().event(Asked("GET", "/orders")), context())
        assert returned["statusCode"] == status
        assert "content-type" not in returned["headers"]
        assert returned["headers"]["etag"] == '"7"'


@KINDS
def test_a_problem_goes_out_as_text_and_needs_no_binary_types(gateway: Gateway) -> None:
    for function in function_of(JSONResponse({"detail": "é"}, 409, media_type="application/problem+json")):
        returned = function(gateway.event(Asked("GET", "/orders")), context())
        assert returned["isBase64Encoded"] is False
        assert json.loads(gateway.answer(returned, Asked("GET", "/orders")).body) == {"detail": "é"}


def test_cookies_come_as_one_header(function: Function) -> None:
    found = heard(function, HttpApi(), Asked("GET", "/orders", headers=(("Cookie", "a=1; b=2"),)))
    assert [value for name, value in found["headers"] if name == "cookie"] == ["a=1; b=2"]


def traceparents(function: Function, *headers: tuple[str, str], trace: str = "Root=1-x") -> list[str]:
    found = heard(function, HttpApi(), Asked("GET", "/orders", headers=headers, trace=trace))
    return [value for name, value in found["headers"] if name == "traceparent"]


def test_a_trace_that_x_ray_records_goes_on(function: Function) -> None:
    assert traceparents(function, trace=XRAY) == [f"00-{TRACE}-{SPAN}-01"]


def test_it_goes_on_from_the_functions_own_segment(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(XRAY_VARIABLE, XRAY.replace(SPAN, "3" * 16))
    assert traceparents(function, trace=XRAY) == [f"00-{TRACE}-{'3' * 16}-01"]


def test_the_callers_own_trace_is_not_forked_by_x_ray(function: Function) -> None:
    assert traceparents(function, ("traceparent", THEIRS), trace=XRAY) == [THEIRS]


@pytest.mark.parametrize("trace", [XRAY.replace("Sampled=1", "Sampled=0"), "Root=1-x", "", "Self=1;;=", "Root;Parent"])
def test_a_trace_that_x_ray_does_not_record_is_not_lost_by_it(function: Function, trace: str) -> None:
    assert traceparents(function, trace=trace) == []


@pytest.mark.parametrize("gateway", [HttpApi(), RestApi()], ids=["jwt", "cognito"])
def test_what_an_authorizer_has_read_is_handed_on(gateway: Gateway) -> None:
    asked = Asked("GET", "/orders", claims={"sub": "shop", "scope": "orders:read", "aud": ["a", "b"]})
    assert vouched(gateway.event(asked)) == {"sub": "shop", "scope": "orders:read", "aud": ["a", "b"]}
    assert vouched(gateway.event(Asked("GET", "/orders"))) is None


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"lambda": {"sub": "x"}},
        {"principalId": "x"},
        {"iam": {}},
        {"claims": "sub=x"},
        {"jwt": "x"},
        {"jwt": {}},
    ],
)
def test_authorizers_of_another_kind_vouch_for_nobody(authorizer: Any) -> None:
    assert vouched({"requestContext": {"authorizer": authorizer}}) is None


def test_a_gateway_says_when_it_was_asked_and_a_load_balancer_does_not() -> None:
    assert asked_at(HttpApi().event(Asked("GET", "/orders"))) == pytest.approx(time.time(), abs=1)
    assert asked_at(RestApi().event(Asked("GET", "/orders"))) == pytest.approx(time.time(), abs=1)
    assert asked_at(LoadBalancer(is_multi_value=True).event(Asked("GET", "/orders"))) is None


def test_what_is_no_request_is_refused(function: Function) -> None:
    with pytest.raises(RuntimeError, match="infer a handler"):
        function({"key1": "value1"}, context())
