"""Whatever is sent is refused or done exactly as it says: random bodies, with the database and Temporal behind them.

``EXPLORE=1000`` tries so many bodies that nobody has seen before.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import os
import secrets
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from temporalio.client import Client
from temporalio.service import RPCError

from orders.contracts import order_workflow_id
from orders.ledger.engine import Database
from orders.ledger.tables import events, orders
from orders.model import ANONYMOUS
from tests.api.conftest import Api
from tests.api.test_webhooks import signed_by_stripe
from tests.examples import body

EXPLORE = os.environ.get("EXPLORE")
MANY = int(EXPLORE or 60)
JSON = {"Content-Type": "application/json"}
AT_REST = {"completed", "rejected", "awaiting_customer", "payment_failed", "cancelled"}
LEGAL = [
    "' OR 1=1 --", "'; drop table orders; --", "%s %(x)s :x \\", "{{7*7}}", "${jndi:ldap://x}", "<script>", "../etc",
    "e\u0301", "\u00e9", "ﷺ" * 19, "👩\u200d👧", "\U0010ffff", "null", "\\u0000", "\\x1b[2J", '"', " blanks  inside ",
]  # fmt: skip
ILLEGAL: list[Any] = [
    "\x00", "a\x00b", "\ud800", "\udfff\ud800", "a\nb", "a\r\n\r\nb", "\x1b[2J", "\u202eabc", "\ufeff", "", " ",
    "\u200b", "ﷺ" * 600, "x" * 501, "\x7f", "\x85", "\u2028", None, [], {}, 7, True, ["x"], {"a": {"b": []}},
]  # fmt: skip
NUMBERS = [
    "0", "-0", "-0.0", "1e2", "1E+2", "1.0", "1.10", "0.001", "1e400", "-1", "1e-400", "9" * 30, "NaN", "Infinity",
    "9" * 5000, "1e99999999", "0.30000000000000004", '"1.50"', '"1e2"', '" 1"', '"١"', "true", "null", "[]",
]  # fmt: skip


class Raw(str):
    """What stands in a body as it is, since no number of Python's would."""

    __slots__ = ()


TEXT = st.one_of(st.sampled_from(LEGAL), st.just("Anytown"))
ANYTHING = st.one_of(
    st.sampled_from(ILLEGAL),
    st.lists(st.integers(0, 0x10FFFF).map(chr), max_size=9).map("".join),
    st.sampled_from(NUMBERS).map(Raw),
)


def places(found: Any) -> list[tuple[Any, Any]]:
    """Each value in a body, by what holds it and its key there."""
    keys: Any = list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else []
    return [place for key in keys for place in ((found, key), *places(found[key]))]


@st.composite
def spoilt(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """A good body, in which often a value or two, or a name, is another."""
    found = copy.deepcopy(draw(good))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 1, 2]))):
        if there := places(found):
            holder, key = draw(st.sampled_from(there))
            holder[key] = draw(ANYTHING)
    if draw(st.integers(0, 9)) == 0:
        found[draw(TEXT)] = 1
    return found


def written(found: Any) -> bytes:
    """JSON with every raw number in its place, and every character as an escape."""
    raws: list[str] = []

    def marked(each: Any) -> Any:
        if isinstance(each, Raw):
            raws.append(each)
            return f"<raw {len(raws) - 1}>"
        if isinstance(each, dict):
            return {name: marked(value) for name, value in each.items()}
        return [marked(value) for value in each] if isinstance(each, list) else each

    content = json.dumps(marked(found))
    for place, raw in enumerate(raws):
        content = content.replace(f'"<raw {place}>"', raw)
    return content.encode()


ADDRESS = st.fixed_dictionaries(
    {"street": TEXT, "city": TEXT},
    optional={"state": TEXT, "postal_code": st.just("90210"), "country": st.sampled_from(["US", "de"])},
)
ITEM = st.fixed_dictionaries(
    {
        "sku": st.sampled_from(["ABC123", "MUG"]),
        "qty": st.sampled_from(["1", "2.0", "1e2"]).map(Raw),
        "price": st.sampled_from(["9.99", "0.10", '"12.5"', "7", "1E+1"]).map(Raw),
    }
)
ORDER = st.fixed_dictionaries(
    {
        "customer_name": TEXT,
        "customer_email": st.sampled_from(["john@example.com", "Jo\u0308hn@EXAMPLE.com"]),
        "items": st.lists(ITEM, min_size=1, max_size=3),
        "shipping_address": ADDRESS,
    },
    optional={
        "currency": st.sampled_from(["USD", "eur", "KWD"]),
        "metadata": st.dictionaries(TEXT, TEXT, max_size=3),
    },
)
MESSAGES = {
    "cancel": st.fixed_dictionaries({}, optional={"reason": TEXT}),
    "payment/cancel": st.fixed_dictionaries({}, optional={"reason": TEXT}),
    "review": st.fixed_dictionaries({"decision": st.sampled_from(["approve", "reject"])}, optional={"note": TEXT}),
    "amend": st.one_of(st.fixed_dictionaries({"items": st.lists(ITEM)}), st.just({"take_available": True})),
    "payment/retry": st.just({"payment_method": "tok_visa"}),
}
THING = st.fixed_dictionaries(
    {"id": TEXT, "status": TEXT, "payment_intent": TEXT}, optional={"metadata": st.just({"order_id": "ord_1"})}
)
NEWS = st.fixed_dictionaries(
    {
        "id": st.just("evt_1"),
        "type": st.sampled_from(["charge.dispute.created", "charge.refund.updated"]),
        "data": st.fixed_dictionaries({"object": THING}),
    }
)


def drawn(strategy: st.SearchStrategy[Any], many: int) -> list[Any]:
    found: list[Any] = []

    @settings(
        max_examples=many,
        derandomize=not EXPLORE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(spoilt(strategy))
    def draw(each: Any) -> None:
        found.append(each)

    draw()
    return found


async def post(api: Api, path: str, content: bytes, method: str = "POST", **headers: str) -> tuple[int, Any]:
    answer = await api.http.request(method, path, content=content, headers={**JSON, **headers})
    assert answer.status_code < 500, (path, content, answer.text)
    return answer.status_code, answer.json()


def row_of(database: Database, order_id: str) -> Any:
    with database.engine.connect() as connection:
        return connection.execute(select(orders).where(orders.c.id == order_id)).mappings().one_or_none()


def same(one: str | None, other: str | None) -> bool:
    """Whether a text is the one that was sent, but for blanks around it."""
    return one == other or (one is not None and other is not None and one == other.strip())


def assert_as_said(row: Any, content: bytes) -> None:
    """An order's row says what was sent, read here by rules of our own."""
    said = json.loads(content, parse_float=Decimal)
    assert same(row["customer_name"], said["customer_name"])
    assert row["customer_email"].lower() == unicodedata.normalize("NFC", said["customer_email"]).lower()
    assert row["currency"] == said.get("currency", "USD").upper()
    assert row["metadata"] == said.get("metadata", {})
    for name in ("street", "city", "state", "postal_code"):
        assert same(row["shipping_address"][name], said["shipping_address"].get(name))
    minor = 10 ** {"JPY": 0, "KWD": 3}.get(row["currency"], 2)
    lines = [(each["sku"], int(each["qty"]), Decimal(each["price"]) * minor) for each in said["items"]]
    assert [(each["sku"], each["qty"], each["price"]) for each in row["lines"]] == lines
    assert row["total"] == sum(qty * price for _, qty, price in lines)


@pytest.mark.timeout(1200 if EXPLORE else 60)
async def test_an_order_is_refused_and_leaves_nothing_or_stands_in_the_ledger_as_it_was_sent(
    api: Api, client: Client, database: Database
) -> None:
    accepted = []
    gate = asyncio.Semaphore(8)

    async def send(content: bytes) -> None:
        key = secrets.token_hex(8)
        order_id = f"ord_{hashlib.sha256(json.dumps([ANONYMOUS, key]).encode()).hexdigest()[:24]}"
        async with gate:
            status, answer = await post(api, "/orders", content, **{"Idempotency-Key": key})
            if status == 201:
                assert answer["id"] == order_id
                accepted.append((order_id, content))
                return
            assert status in {400, 422}, (content, answer)
            with pytest.raises(RPCError, match="not found"):
                await client.get_workflow_handle(order_workflow_id(order_id)).describe()
            assert row_of(database, order_id) is None

    await asyncio.gather(*(send(written(each)) for each in drawn(ORDER, MANY)))
    assert MANY / 5 < len(accepted) < MANY
    for order_id, content in accepted:
        order = await api.until(order_id, *AT_REST)
        assert order["stuck"] is None
        assert_as_said(row_of(database, order_id), content)


@pytest.mark.timeout(1200 if EXPLORE else 60)
async def test_an_address_is_refused_and_changes_nothing_or_becomes_the_order_s(
    patient_api: Api, database: Database
) -> None:
    order = await patient_api.place()
    await patient_api.until(order["id"], "in_review")
    before, done = row_of(database, order["id"])["shipping_address"], 0
    for sent in drawn(ADDRESS, MANY // 3):
        content = written(sent)
        status, _ = await post(patient_api, f"/orders/{order['id']}/shipping-address", content, "PUT")
        now = row_of(database, order["id"])["shipping_address"]
        if status == 200:
            done, said = done + 1, json.loads(content)
            assert all(same(now[name], said.get(name)) for name in ("street", "city", "state", "postal_code")), said
            assert now["country"] == said.get("country", "US").upper()
        else:
            assert status in {400, 422}
            assert now == before
        before = now
    assert 0 < done < MANY // 3
    await post(patient_api, f"/orders/{order['id']}/cancel", b"{}")


@pytest.mark.timeout(1200 if EXPLORE else 60)
@pytest.mark.parametrize("path", MESSAGES)
async def test_a_message_is_refused_or_told_as_it_was_said_and_its_order_goes_on(
    patient_api: Api, database: Database, path: str
) -> None:
    order_id = (await patient_api.place())["id"]
    order = await patient_api.until(order_id, "in_review")
    for sent in drawn(MESSAGES[path], MANY // 6):
        content = written(sent)
        status, answer = await post(patient_api, f"/orders/{order_id}/{path}", content)
        assert status in {200, 400, 409, 422}, answer
        if status in {400, 422}:
            assert (await patient_api.http.get(f"/orders/{order_id}")).json() == order
            continue
        if status == 200:
            with database.engine.connect() as connection:
                trail = connection.execute(select(events.c.data).where(events.c.order_id == order_id)).scalars().all()
            for said in map(json.loads(content).get, ("reason", "note")):
                assert said is None or any(said.strip() in each.values() for each in trail), (said, trail)
            if path in {"cancel", "review"}:
                order_id = (await patient_api.place())["id"]
                await patient_api.until(order_id, "in_review")
        order = (await patient_api.http.get(f"/orders/{order_id}")).json()
    await post(patient_api, f"/orders/{order_id}/cancel", b"{}")
    await patient_api.until(order_id, "cancelled")


@pytest.mark.timeout(1200 if EXPLORE else 60)
async def test_whatever_a_signed_webhook_says_its_order_goes_on(patient_api: Api) -> None:
    order_id = (await patient_api.place())["id"]
    await patient_api.until(order_id, "in_review")
    statuses = set()
    for event in drawn(NEWS, MANY // 3):
        sent = written(event).replace(b"ord_1", order_id.encode())
        answer = await patient_api.http.post("/webhooks/payments", **signed_by_stripe(sent))
        assert answer.status_code in {200, 400, 422}, (sent, answer.text)
        statuses.add(answer.status_code)
    assert statuses >= {200, 422}
    assert (await patient_api.http.post(f"/orders/{order_id}/cancel")).status_code == 200
    await patient_api.until(order_id, "cancelled")


def test_the_bodies_are_those_that_http_brings() -> None:
    assert written({"price": Raw("1e400"), "name": "\ud800"}) == b'{"price": 1e400, "name": "\\ud800"}'
    assert json.loads(written(body())) == body()
