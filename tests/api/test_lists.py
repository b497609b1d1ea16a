"""Lists of orders over HTTP: filters, pages and cursors."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from api.cursors import Cursors
from api.dependencies import Services
from orders.contracts import RecordEvents
from orders.ledger.engine import Database
from orders.ledger.lists import Position
from orders.ledger.writer import Ledger
from orders.model import OrderStatus, Origin
from orders.order import Order, receive
from orders.policy import Policy
from orders.settings import DatabaseSettings, load
from tests.api.conftest import CURSORS, Api, http_of, services_of
from tests.examples import DETAILS, new_id
from tests.servers import TEMPLATE, create_database

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Shop:
    """An API on a ledger of its own, and what was written there."""

    services: Services
    http: httpx2.AsyncClient
    orders: list[Order] = field(default_factory=list)

    def add(self, at: datetime = NOON, email: str = "ann@example.com", **changes: Any) -> Order:
        order, event = receive(new_id(), replace(DETAILS, customer_email=email), at, Origin())
        order = replace(order, **changes)
        Ledger(self.services.database).record(RecordEvents(order, [event], "run", 3))
        self.orders.append(order)
        return order

    async def ids(self, **query: Any) -> list[str]:
        return [order["id"] for order in (await self.page(**query))["data"]]

    async def page(self, **query: Any) -> dict[str, Any]:
        answer = await self.http.get("/orders", params=query)
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        return page

    async def pages(self, **query: Any) -> list[list[str]]:
        """The ids on every page, from the first to the last."""
        page = await self.page(**query)
        found = [page]
        while page["next"]:
            page = await self.page(**query, cursor=page["next"])
            found.append(page)
        return [[order["id"] for order in each["data"]] for each in found]


@pytest.fixture
async def shop(idle_client: Client) -> AsyncIterator[Shop]:
    url = create_database(f"shop_{new_id()}", TEMPLATE)
    database = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_POOL_SIZE=2))
    services = services_of(idle_client, database, Policy())
    async with http_of(services) as http:
        yield Shop(services, http)
    database.close()


def newest_first(orders: list[Order]) -> list[str]:
    return [order.id for order in sorted(orders, key=lambda order: (order.created_at, order.id), reverse=True)]


async def test_an_order_in_a_list_looks_as_it_does_alone(api: Api) -> None:
    email = f"{new_id()}@example.com"
    placed = await api.place(customer_email=email)
    order = await api.until(placed["id"], "completed")
    answer = await api.http.get("/orders", params={"customer_email": email})
    assert answer.json() == {"data": [order], "next": None}
    assert order["shipments"][0]["status"] == "delivered"


async def test_a_shop_without_orders_has_an_empty_list(shop: Shop) -> None:
    assert await shop.page() == {"data": [], "next": None}


async def test_a_page_has_fifty_orders_unless_it_is_said_otherwise(shop: Shop) -> None:
    for minutes in range(60):
        shop.add(NOON + timedelta(minutes=minutes))
    assert [len(page) for page in await shop.pages()] == [50, 10]
    assert [len(page) for page in await shop.pages(limit=20)] == [20, 20, 20]
    assert await shop.ids(limit=200) == newest_first(shop.orders)


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_pages_have_what_a_plain_search_finds_whatever_the_filters(shop: Shop, limit: int) -> None:
    chance = random.Random(limit)
    emails = ["ann@example.com", "Ann@example.com", "bob@example.com"]
    statuses = [OrderStatus.PAID, OrderStatus.SHIPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED]
    for _ in range(25):
        shop.add(
            NOON + chance.randrange(5) * HOUR,
            chance.choice(emails),
            status=chance.choice(statuses),
            stuck=chance.choice([{}, {}, {"payment": "the provider does not answer"}]),
        )
    for wanted, email, after, before, stuck in itertools.product(
        [[], ["paid"], ["paid", "shipped", "paid"], ["expired", "shipped", "completed", "cancelled"]],
        [None, "ANN@example.com"],
        [None, NOON + HOUR],
        [None, NOON + 3 * HOUR],
        [None, True, False],
    ):
        filters = {"status": wanted, "customer_email": email, "created_after": after, "created_before": before}
        query = {name: value for name, value in (filters | {"stuck": stuck}).items() if value is not None}
        expected = [
            order
            for order in shop.orders
            if (not wanted or order.status in wanted)
            and (email is None or order.details.customer_email.lower() == email.lower())
            and (after is None or order.created_at >= after)
            and (before is None or order.created_at < before)
            and (stuck is None or bool(order.stuck) is stuck)
        ]
        pages = await shop.pages(**query, limit=limit)
        assert list(itertools.chain(*pages)) == newest_first(expected), query
        assert all(len(page) == limit for page in pages[:-1])


async def test_an_order_that_comes_while_one_turns_pages_moves_none_of_the_others(shop: Shop) -> None:
    for number in range(12):
        shop.add(NOON + (number % 3) * HOUR)
    there = newest_first(shop.orders)
    page = await shop.page(limit=2)
    seen = [order["id"] for order in page["data"]]
    while page["next"]:
        for hours in range(-1, 4):
            shop.add(NOON + hours * HOUR)
        page = await shop.page(limit=2, cursor=page["next"])
        seen += [order["id"] for order in page["data"]]
        if len(seen) > 300:
            break
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in there] == there


async def test_links_lead_to_the_first_and_to_the_next_page_with_all_filters(shop: Shop) -> None:
    for status in (OrderStatus.PAID, OrderStatus.SHIPPED, OrderStatus.PAID):
        shop.add(status=status, email="a+b@example.com")
    query: dict[str, Any] = {"status": ["paid", "shipped"], "customer_email": "a+b@example.com", "limit": 2}
    first = await shop.http.get("/orders", params=query)
    assert first.links["next"]["url"].startswith(
        "/orders?status=paid&status=shipped&customer_email=a%2Bb%40example.com"
    )
    second = await shop.http.get(first.links["next"]["url"])
    assert [order["id"] for order in first.json()["data"] + second.json()["data"]] == newest_first(shop.orders)
    assert set(second.links) == {"first"}
    assert (await shop.http.get(second.links["first"]["url"])).json() == first.json()


async def test_links_name_the_path_under_which_the_service_is_reached(shop: Shop) -> None:
    async with http_of(shop.services, root_path="/shop") as http:
        assert (await http.get("/orders?limit=7")).headers["Link"] == '</shop/orders?limit=7>; rel="first"'


async def test_a_cursor_holds_for_another_limit(shop: Shop) -> None:
    for _ in range(5):
        shop.add()
    page = await shop.page(limit=2)
    rest = await shop.ids(limit=200, cursor=page["next"])
    assert rest == newest_first(shop.orders)[2:]


async def test_a_cursor_is_a_place_among_all_orders_so_the_filters_may_change(shop: Shop) -> None:
    for minute in range(6):
        shop.add(NOON + timedelta(minutes=minute), status=OrderStatus.PAID if minute % 2 else OrderStatus.SHIPPED)
    cursor = (await shop.page(limit=2))["next"]
    behind = newest_first(shop.orders)[2:]
    assert await shop.ids(cursor=cursor) == behind
    assert await shop.ids(cursor=cursor, status="paid") == behind[0::2]
    for minute, rest in ((9, behind), (4, behind), (3, behind[1:]), (1, behind[3:])):
        before = (NOON + timedelta(minutes=minute)).isoformat()
        assert await shop.ids(cursor=cursor, created_before=before) == rest


async def test_a_cursor_that_was_changed_is_refused(shop: Shop) -> None:
    for _ in range(2):
        shop.add()
    cursor = (await shop.page(limit=1))["next"]
    for changed in (cursor.upper(), cursor.swapcase(), cursor[:-1], f"A{cursor}", f"{cursor}.{cursor}"):
        await refused(shop, {"cursor": changed}, "the cursor is not one that this service gave")


@pytest.mark.parametrize("cursor", [".", "x.y", "0", "W10.AAAA", "." * 5000, "eJw.eJw.eJw"])
async def test_what_is_no_cursor_is_refused(idle_api: Api, cursor: str) -> None:
    await refused(idle_api, {"cursor": cursor}, "the cursor is not one that this service gave")


@pytest.mark.parametrize("cursor", ["", "é", "\x00", "a b"])
async def test_what_can_be_no_cursor_is_refused(idle_api: Api, cursor: str) -> None:
    answer = await idle_api.http.get("/orders", params={"cursor": cursor})
    assert (answer.status_code, [error["parameter"] for error in answer.json()["errors"]]) == (422, ["cursor"])


async def test_a_cursor_of_another_service_is_refused(idle_api: Api) -> None:
    foreign = Cursors(b"the key of another service").write(Position(NOON, new_id()))
    await refused(idle_api, {"cursor": foreign}, "the cursor is not one that this service gave")


async def refused(api: Shop | Api, query: dict[str, Any], why: str) -> None:
    answer = await api.http.get("/orders", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == "urn:order-lifecycle:problem:validation"
    assert answer.json()["errors"] == [{"parameter": "cursor", "detail": f"{why}: begin again without it"}]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("state=paid", "state"),
        ("status=lost", "status"),
        ("status=paid&status=", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("customer_email=ann", "customer_email"),
        ("customer_email=a+b@example.com", "customer_email"),
        ("customer_email=%00@example.com", "customer_email"),
        ("created_after=2026-01-02T03:04:05", "created_after"),
        ("created_after=2026-01-02T03:04:05+01:00", "created_after"),
        ("created_after=20260102", "created_after"),
        ("created_before=0001-01-01T00:00:00%2B01:00", "created_before"),
        ("stuck=perhaps", "stuck"),
    ],
)
async def test_a_filter_that_can_not_be_is_named(idle_api: Api, query: str, pointer: str) -> None:
    answer = await idle_api.http.get(f"/orders?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["parameter"] for error in answer.json()["errors"]] == [pointer]


async def test_a_time_may_be_given_in_any_zone(shop: Shop) -> None:
    shop.add(NOON)
    assert len(await shop.ids(created_after="2026-01-02T13:00:00+01:00")) == 1
    assert await shop.ids(created_before="2026-01-02T13:00:00+01:00") == []
    assert len(await shop.ids(created_after="0001-01-01T00:00:00Z", created_before="9999-12-31T23:59:59Z")) == 1


@pytest.mark.parametrize("content", ["x", ["yesterday", "ord_1"], [1, 2], [None, None], {}, 7])
async def test_a_cursor_that_is_signed_but_is_none_is_refused(idle_api: Api, content: Any) -> None:
    signed = CURSORS._signed.dumps(content)
    await refused(idle_api, {"cursor": signed}, "the cursor is not one that this service gave")


def test_replicas_understand_each_other_s_cursors_without_a_setting_and_with_the_same_one() -> None:
    position = Position(NOON, new_id())
    for secret, url in [(None, SecretStr("postgresql://db/orders")), (SecretStr("a secret of ours"), SecretStr("?"))]:
        cursor = Cursors.of(secret, url).write(position)
        assert Cursors.of(secret, url).read(cursor) == position
        assert re.fullmatch(r"[\w.-]+", cursor, re.ASCII)
