"""What a function does where a container would stream, or answer several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest

from api.auth import Gatekeeper
from api.dependencies import Services
from orders.policy import Policy
from orders.settings import ApiSettings, load
from tests.api.conftest import NO_REVIEW, Api, http_of, look_up
from tests.function.events import GATEWAYS
from tests.issuer import Issuer, token

STREAM = "text/event-stream"
Open = Callable[..., httpx2.AsyncClient]


@pytest.fixture
def function_of(services_with: Callable[[Policy], Services]) -> Open:
    """The function, whichever door is open."""
    return lambda policy=NO_REVIEW, gateway="http-api", **more: http_of(
        services_with(policy), through=[GATEWAYS[gateway]], **more
    )


@pytest.mark.parametrize("gateway", GATEWAYS)
async def test_who_wants_a_stream_is_pointed_to_where_they_can_wait(api: Api, function_of: Open, gateway: str) -> None:
    order_id = (await api.place())["id"]
    await api.until(order_id, "completed")
    trail = (await api.http.get(f"/orders/{order_id}/events")).json()["data"]
    async with function_of(gateway=gateway) as http:
        answer = await http.get(f"/orders/{order_id}/events", headers={"Accept": STREAM, "Last-Event-ID": "3"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (406, "application/problem+json")
        there = answer.links["alternate"]["url"]
        assert (await http.get(there)).json() == {"data": [], "next": None}
        either = await http.get(f"/orders/{order_id}/events", headers={"Accept": f"{STREAM}, application/json;q=0.5"})
        assert either.json()["data"] == trail


async def test_as_many_may_wait_as_there_are_environments(patient_api: Api, function_of: Open) -> None:
    order_id = (await patient_api.place())["id"]
    order = await patient_api.until(order_id, "in_review")
    one_each = load(ApiSettings, API_MAX_WAITING="1")
    async with function_of(Policy(review_timeout=timedelta(hours=1)), settings=one_each) as http:
        path = f"/orders/{order_id}/events?after={order['version']}&wait=25"
        waiting = [asyncio.create_task(http.get(path)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await patient_api.http.post(f"/orders/{order_id}/cancel")
        answers = await asyncio.gather(*waiting)
    assert [answer.json()["data"][0]["type"] for answer in answers] == ["cancel_requested"] * 3


async def test_each_environment_asks_the_issuer_once(issuer: Issuer, function_of: Open) -> None:
    believed = issuer.settings()
    async with function_of(gatekeeper_of=lambda: Gatekeeper(believed)) as http:
        for _ in range(3):
            answers = await asyncio.gather(*(look_up(http, token()) for _ in range(4)))
            assert {answer.status_code for answer in answers} == {404}
    assert issuer.requests == 4
