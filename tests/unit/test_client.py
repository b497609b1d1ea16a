"""The client that other programs may use: what it sends, and what it sends again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from api.openapi import DOCUMENT
from cli import client as typed
from cli.client import ApiError, OrdersClient
from tests.scripted_api import Answer, ScriptedApi

ORDER = {"id": "ord_1", "status": "in_review", "version": 3}
UNAVAILABLE = Answer(503, {"detail": "not now", "status": 503}, {"Retry-After": "0"})


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as found:
        yield found


@pytest.fixture
def client(api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[OrdersClient]:
    monkeypatch.setattr("cli.client.FIRST_REST", 0.01)
    with OrdersClient(api.url) as found:
        yield found


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_change_is_sent_again_under_the_same_key(api: ScriptedApi, client: OrdersClient, status: int) -> None:
    api.answers = [Answer(status, {"detail": "not now"}), Answer(status, {"detail": "not now"}), Answer(201, ORDER)]
    assert client.place({"customer_name": "John Doe"})["id"] == "ord_1"
    assert len(api.requests) == 3
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 1
    assert {request.body for request in api.requests} == {b'{"customer_name":"John Doe"}'}


def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(api: ScriptedApi, client: OrdersClient) -> None:
    api.answers = [Answer.LOST, Answer(200, ORDER)]
    assert client.cancel("ord_1", "ordered twice")["version"] == 3
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 1


def test_two_requests_have_two_keys_unless_one_is_given(api: ScriptedApi, client: OrdersClient) -> None:
    api.answers = [Answer(201, ORDER)] * 4
    client.place({})
    client.place({})
    client.place({}, key="mine")
    client.cancel("ord_1", key="mine")
    first, second, third, fourth = [request.headers["Idempotency-Key"] for request in api.requests]
    assert first != second
    assert third == fourth == "mine"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500])
def test_a_refusal_is_not_asked_for_again(api: ScriptedApi, client: OrdersClient, status: int) -> None:
    api.answers = [Answer(status, {"detail": "no", "status": status})]
    with pytest.raises(ApiError, match="no") as refused:
        client.get("ord_1")
    assert refused.value.problem["status"] == status
    assert len(api.requests) == 1


def test_it_gives_up_after_so_many_tries(api: ScriptedApi, client: OrdersClient) -> None:
    api.answers = [UNAVAILABLE] * 9
    with pytest.raises(ApiError, match="not now"):
        client.get("ord_1")
    assert len(api.requests) == 4


def test_a_url_where_nobody_answers_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.client.FIRST_REST", 0.01)
    with OrdersClient("http://127.0.0.1:9") as client, pytest.raises(ApiError, match=r"nothing answers at .*make up"):
        client.get("ord_1")


def test_a_change_to_a_version_says_so(api: ScriptedApi, client: OrdersClient) -> None:
    api.answers = [Answer(200, ORDER)] * 2
    client.review("ord_1", "approve", if_version=3)
    client.review("ord_1", "approve")
    assert [request.headers.get("If-Match") for request in api.requests] == ['"3"', None]


def test_the_token_is_sent(api: ScriptedApi) -> None:
    api.answers = [Answer(200, ORDER)]
    with OrdersClient(api.url, token="ey.J.w") as client:
        client.get("ord_1")
    assert api.requests[0].headers["Authorization"] == "Bearer ey.J.w"


def test_orders_are_found_page_by_page(api: ScriptedApi, client: OrdersClient) -> None:
    first = Answer(200, {"data": [ORDER] * 200, "next": "more"})
    api.answers = [first, Answer(200, {"data": [ORDER] * 50, "next": "yet more"})]
    assert len(list(client.find(250, status=["paid", "shipped"], stuck=True, customer_email=None))) == 250
    one, two = [request.path for request in api.requests]
    assert one == "/orders?status=paid&status=shipped&stuck=true&limit=200"
    assert two == "/orders?status=paid&status=shipped&stuck=true&cursor=more&limit=50"


def test_an_order_is_followed_until_its_end(api: ScriptedApi, client: OrdersClient) -> None:
    def events(*numbers: int, next_: str | None) -> Answer:
        return Answer(200, {"data": [{"seq": number} for number in numbers], "next": next_})

    api.answers = [events(1, 2, next_="2"), events(next_="2"), events(3, next_=None)]
    assert [event["seq"] for event in client.follow("ord_1")] == [1, 2, 3]
    assert [request.path for request in api.requests] == [
        f"/orders/ord_1/events?after={after}&wait=20.0" for after in (0, 2, 2)
    ]


def test_who_follows_until_something_gets_the_events_up_to_there(api: ScriptedApi, client: OrdersClient) -> None:
    page = Answer(200, {"data": [{"seq": 1}, {"seq": 2}], "next": "2"})
    api.answers = [Answer(200, {**ORDER, "status": "payment_failed"}), page]
    followed = client.follow("ord_1", until=lambda order: order["status"] == "payment_failed")
    assert [event["seq"] for event in followed] == [1, 2]


def test_an_id_is_one_segment_of_the_path(api: ScriptedApi, client: OrdersClient) -> None:
    api.answers = [Answer(404, {"detail": "no"})]
    with pytest.raises(ApiError):
        client.get("../healthz?x=1")
    assert api.requests[0].path == "/orders/..%2Fhealthz%3Fx%3D1"


VIEWS = {
    "OrderView": typed.Order,
    "ItemView": typed.Item,
    "AddressView": typed.Address,
    "PaymentView": typed.Payment,
    "ShipmentView": typed.Shipment,
    "EventView": typed.Event,
    "ProgressView": typed.Progress,
    "AttemptView": typed.Attempt,
    "QueueView": typed.Queue,
}


@pytest.mark.parametrize("view", VIEWS)
def test_the_client_s_types_have_the_fields_of_the_api_s(view: str) -> None:
    schema = json.loads(DOCUMENT.read_text())["components"]["schemas"][view]
    assert list(VIEWS[view].__annotations__) == list(schema["properties"])
