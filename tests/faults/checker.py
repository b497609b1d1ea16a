"""An auditor who reads PostgreSQL alone: the shop's tables, and the books of the simulated partners.

It knows nothing of the product but its tables and what ``docs/lifecycle.md`` says, and believes no code of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from tests.faults.story import FINAL, Story, read

Row = Mapping[str, Any]
UNCHARGED = FINAL - {"completed"}
WAITING = frozenset({"in_review", "awaiting_customer", "payment_failed", "fulfilling"})
"""Where an order waits until a time that it tells."""
WAITS_FOR_MONEY = (
    "(status = 'shipped' and payment_status in ('declined', 'cancelled') and stuck->>'payment' is not null "
    "and 'delivered' in (select status from shipments where order_id = orders.id))"
)
"""Which stuck orders get on by a customer or an operator alone: those whose goods are there, and not paid."""
MOVING = (
    "select id from orders where status not in ('completed', 'cancelled', 'rejected', 'expired', 'failed') "
    f"and not {WAITS_FOR_MONEY} and coalesce(waiting_until, now()) < now() + interval '1 minute'"
)
"""The orders that get on by themselves, or soon will; those that are stuck are among them, as partners are back."""
OVERDUE = timedelta(minutes=1)
"""For how long an order may go on standing where its waiting was over."""
GONE = frozenset({"dispatched", "in_transit", "delivered", "lost", "returned"})
"""The statuses of a parcel that the carrier has had."""
KEPT_AS_PLACED = ("customer_name", "customer_email", "currency", "metadata")
KEPT_AS_CHANGED = ("lines", "shipping_address", "payment_method")
OF_QUESTION = ("key", "kind", "amount", "method", "status", "reference", "error")
OF_PARCEL = ("id", "status", "carrier", "tracking_number", "address")


@dataclass(frozen=True)
class Books:
    """Everything about one order: the shop's rows, what its trail tells, and the partners' entries."""

    order: Row
    events: list[Row]
    questions: list[Row]
    parcels: list[Row]
    provider: list[Row]
    carrier: list[Row]
    story: Story

    @property
    def is_over(self) -> bool:
        return self.order["status"] in FINAL

    @property
    def is_lost_sight_of(self) -> bool:
        """Whether somebody has terminated the workflow of its parcel, of which nobody knows then where it is."""
        parcel = self.story.parcel
        has_ended = parcel is not None and parcel["status"] in ("delivered", "lost", "returned", "recalled")
        return self.order["status"] == "failed" and parcel is not None and not has_ended


def final_states(database_url: str) -> Counter[str]:
    """Count the orders of a database by their status."""
    with _reading(database_url) as connection:
        rows = connection.execute(text("select status, count(*) from orders group by status")).tuples()
        return Counter(dict(rows.all()))


def moving(database_url: str) -> set[str]:
    """Name the orders that something still has to come of without anybody's help."""
    with _reading(database_url) as connection:
        return set(connection.execute(text(MOVING)).scalars())


def violations(
    database_url: str,
    accepted: Collection[str],
    *,
    cancelled: Collection[str] = (),
    initial_stock: Mapping[str, int],
    clock_error: timedelta = timedelta(),
) -> list[str]:
    """Audit a database in which nothing moves any more; each line is an order, a rule, and what was found instead.

    ``accepted`` are the orders that got a 201, ``cancelled`` those whose cancel was accepted, ``initial_stock`` the
    pieces on the shelf before all of them, and ``clock_error`` how far the clocks of those who took part were apart.
    """
    with _reading(database_url) as connection:
        return audit(connection, accepted, cancelled, initial_stock, clock_error)


def audit(
    connection: Connection,
    accepted: Collection[str],
    cancelled: Collection[str],
    initial_stock: Mapping[str, int],
    clock_error: timedelta = timedelta(),
) -> list[str]:
    """Do so within a transaction that has begun."""
    now: datetime = connection.execute(text("select now()")).scalar_one()
    all_books, strays = _collect(connection)
    shelf = {row["sku"]: row for row in _rows(connection, "select * from stock order by sku")}
    found = [f"{order_id}: accepted: it is not in the database" for order_id in sorted(set(accepted) - set(all_books))]
    found += strays
    for order_id, books in all_books.items():
        rules = (
            _trail(books, clock_error),
            _rest(books, now),
            _fold(books),
            _money(books),
            _provider(books),
            _carrier(books),
            _labels(books),
            _holdings(books),
        )
        found += [f"{order_id}: {line}" for rule in rules for line in rule]
        if order_id in cancelled and books.order["status"] != "cancelled":
            found.append(f"{order_id}: cancel: it was accepted, and the order is {books.order['status']}")
    found += [
        f"{order_id}: cancel: it was accepted of no order" for order_id in sorted(set(cancelled) - set(all_books))
    ]
    return found + list(_stock(all_books.values(), shelf, initial_stock))


# The rules, each of which gives "name: what was found"


def _trail(books: Books, clock_error: timedelta) -> Iterator[str]:
    """The audit trail has the numbers 1 to version, tells only what may follow on what, and nothing twice."""
    for complaint in books.story.complaints:
        yield f"trail: {complaint}"
    if len(books.events) != books.order["version"]:
        yield f"trail: {len(books.events)} events, and the order is at version {books.order['version']}"
    begin = books.order["created_at"] - clock_error
    for event in books.events:
        if event["at"] < begin:
            yield f"trail: event {event['seq']}, {event['type']}, was before the order was created"


def _rest(books: Books, now: datetime) -> Iterator[str]:
    """An order is at its end, or waits until a time that has not come yet, or for the money of goods that are there."""
    status, until = books.order["status"], books.order["waiting_until"]
    if books.is_over or books.order["waits_for_money"]:
        return
    if status not in WAITING or until is None:
        yield f"rest: it is {status}, and waits for nobody"
    elif until < now - OVERDUE:
        yield f"rest: it is {status}, and has waited until {until:%F %T} only"


def _fold(books: Books) -> Iterator[str]:
    """The rows of an order are what its events make of it."""
    order, story = books.order, books.story
    told: dict[str, Any] = {
        "status": story.status,
        "payment_status": story.payment,
        "authorized": story.authorized,
        "captured": story.captured,
        "refunded": story.refunded,
        "stuck": story.stuck or None,
        "waiting_until": story.waiting_until,
        "created_at": books.events[0]["at"] if books.events else None,
        "updated_at": story.updated_at,
        "stock": _pieces(story.stock),
        **{name: story.placed.get(name) for name in (*KEPT_AS_PLACED, *KEPT_AS_CHANGED)},
        "total": story.total,
    }
    stored = {**order, "stock": _pieces(order["stock"])}
    for name, expected in told.items():
        if stored[name] != expected:
            yield f"fold: {name} is {stored[name]}, its events make it {expected}"
    yield from _listed("payments", books.questions, list(story.questions.values()), OF_QUESTION)
    yield from _listed("shipments", books.parcels, story.parcels, OF_PARCEL)


def _listed(table: str, stored: list[Row], told: list[dict[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    if [row["number"] for row in stored] != list(range(1, len(told) + 1)):
        yield f"fold: {table} has {len(stored)} rows, its events make it {len(told)}"
        return
    for row, expected in zip(stored, told, strict=True):
        for name in names:
            if row[name] != expected[name]:
                yield f"fold: {name} in {table} {row['number']} is {row[name]}, its events make it {expected[name]}"


def _money(books: Books) -> Iterator[str]:
    """One charge at most is kept; a completed order has paid its total, and one with another end nothing."""
    order = books.order
    kept = {row["key"]: row["captured"] - row["refunded"] for row in books.provider}
    charges = {key: amount for key, amount in kept.items() if amount}
    if len(charges) > 1:
        yield f"money: {len(charges)} charges are kept: {', '.join(sorted(charges))}"
    if any(row["currency"] != order["currency"] for row in books.provider):
        yield f"money: it was asked for in another currency than {order['currency']}"
    held = [row["key"] for row in books.provider if row["status"] == "authorized"]
    if books.is_over and held:
        yield f"money: {held[0]} is still held ready"
    net = sum(kept.values())
    if order["status"] == "completed" and net != order["total"]:
        yield f"money: the provider keeps {net} of a completed order of {order['total']}"
    # Of a parcel that nobody follows any more the money is kept if it was on its way.
    may_keep = books.is_lost_sight_of and (books.story.parcel or {})["status"] in GONE
    if order["status"] in UNCHARGED and net and not may_keep:
        yield f"money: the provider keeps {net} of an order that is {order['status']}"
    if not books.is_over and net not in (0, order["total"]):
        yield f"money: the provider keeps {net} of an order of {order['total']}"


def _provider(books: Books) -> Iterator[str]:
    """The provider's entries are the shop's questions and their answers, one by one."""
    asked = {row["key"]: row for row in books.questions if row["kind"] == "authorize"}
    entries = {row["key"]: row for row in books.provider}
    for key in sorted(set(entries) - set(asked)):
        yield f"provider: it has an entry {key}, the shop has none"
    open_keys = {each["authorization"] for each in books.story.questions.values() if each["status"] == "pending"}
    if books.is_over and open_keys:
        yield f"provider: {min(open_keys)} has no answer, and the order is over"
    for key in sorted(set(asked) - open_keys):
        ours, entry = asked[key], entries.get(key)
        if entry is None:
            yield f"provider: it has no entry {key}, which the shop has as {ours['status']}"
            continue
        charge = books.story.charges[key]
        expected: dict[str, Any] = {
            "amount": ours["amount"],
            "method": ours["method"],
            "status": _status_at_provider(ours["status"], charge.captured),
            "captured": charge.captured,
            "refunded": charge.refunded,
            "refund_key": charge.refund_key,
        }
        if ours["reference"]:
            expected["reference"] = ours["reference"]
        for name, value in expected.items():
            if entry[name] != value:
                yield f"provider: {name} of {key} is {entry[name]} there, and {value} in the shop"


def _status_at_provider(ours: str, captured: int) -> str:
    if captured:
        return "captured"
    return {"declined": "declined", "cancelled": "void"}.get(ours, "authorized")


def _carrier(books: Books) -> Iterator[str]:
    """One parcel at most is handed over, and none of an order that is not to be shipped."""
    status = books.order["status"]
    ours = {row["id"]: row["status"] for row in books.parcels}
    taken = [row["shipment_id"] for row in books.carrier if row["dispatches"]]
    if len(taken) > 1:
        yield f"carrier: {len(taken)} parcels were handed over: {', '.join(taken)}"
    if taken and status in ("cancelled", "rejected", "expired"):
        yield f"carrier: {taken[0]}, of an order that is {status}, was handed over"
    for entry in books.carrier:
        if entry["shipment_id"] not in ours:
            yield f"carrier: it has a parcel {entry['shipment_id']}, the shop has none"
    *earlier, last = ours.items() if ours else [("", "missing")]
    for key, parcel_status in earlier:
        if parcel_status != "recalled":
            yield f"carrier: {key} is {parcel_status}, and another one follows it"
    if status == "completed" and last[1] != "delivered":
        yield f"carrier: the order is completed, and its parcel {last[1]}"


def _labels(books: Books) -> Iterator[str]:
    """What the carrier has is what the shop says it has; the label has the address on record."""
    taken = {row["shipment_id"]: row for row in books.carrier if row["dispatches"]}
    for row in books.parcels:
        entry, key = taken.get(row["id"]), row["id"]
        if entry is None and row["status"] in GONE:
            yield f"carrier: it never got {key}, which the shop has as {row['status']}"
        elif entry and row["status"] in GONE:
            if not entry["label"] == row["address"] == books.order["shipping_address"]:
                yield f"carrier: the label of {key} has another address than the one on record"
            for name in ("carrier", "tracking_number"):
                if entry[name] != row[name]:
                    yield f"carrier: {name} of {key} is {entry[name]} there, and {row[name]} in the shop"
        # Whether it has left is not known while the hand-over is asked for, or where nobody follows it any more.
        elif entry and (row["status"] == "recalled" or (books.is_over and not books.is_lost_sight_of)):
            yield f"carrier: it has got {key}, which the shop has as {row['status']}"


def _holdings(books: Books) -> Iterator[str]:
    """An order that is at its end holds nothing, and one that was delivered has taken what was ordered."""
    story = books.story
    if books.is_over and any(pieces["held"] for pieces in story.stock.values()):
        yield f"stock: an order that is {books.order['status']} holds pieces"
    if books.order["status"] == "completed":
        taken = {sku: pieces["taken"] for sku, pieces in story.stock.items()}
        if taken != story.pieces():
            yield f"stock: {taken} was taken for an order of {story.pieces()}"


def _stock(all_books: Collection[Books], shelf: Mapping[str, Row], initial: Mapping[str, int]) -> Iterator[str]:
    """What is on the shelf and what was taken is what there was; what is reserved is what orders hold."""
    held: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for books in all_books:
        for sku, pieces in books.story.stock.items():
            held[sku] += pieces["held"]
            taken[sku] += pieces["taken"]
    for sku in sorted({*shelf, *initial, *held, *taken}):
        row = shelf.get(sku, {"on_hand": 0, "reserved": 0})
        if row["on_hand"] + taken[sku] != initial.get(sku, 0):
            yield f"{sku}: stock: {row['on_hand']} on the shelf and {taken[sku]} taken, of {initial.get(sku, 0)}"
        if row["reserved"] != held[sku]:
            yield f"{sku}: stock: {row['reserved']} reserved, and orders hold {held[sku]}"
        if not 0 <= row["reserved"] <= row["on_hand"]:
            yield f"{sku}: stock: {row['reserved']} reserved of {row['on_hand']} on the shelf"


# What it reads


def _collect(connection: Connection) -> tuple[dict[str, Books], list[str]]:
    """Give the books of each order, and what partners have of none."""
    events = _by_order(connection, "select * from events order by order_id, seq")
    questions = _by_order(connection, "select * from payments order by order_id, number")
    parcels = _by_order(connection, "select * from shipments order by order_id, number")
    # As the keys are made: {order}:authorize:{n}, and {order}:{n} of a parcel.
    provider = _by_order(
        connection,
        "select regexp_replace(key, ':[a-z]+:[0-9]+$', '') as order_id, * from simulator.payments order by key",
    )
    carrier = _by_order(
        connection,
        "select regexp_replace(shipment_id, ':[0-9]+$', '') as order_id, * from simulator.parcels order by shipment_id",
    )
    found = {}
    query = f"select *, {WAITS_FOR_MONEY} as waits_for_money from orders order by created_at, id"
    for order in _rows(connection, query):
        key = order["id"]
        trail = events[key]
        found[key] = Books(order, trail, questions[key], parcels[key], provider[key], carrier[key], read(trail))
    strays = [f"{key}: provider: it has a payment of no order" for key in sorted(set(provider) - set(found))]
    return found, strays + [f"{key}: carrier: it has a parcel of no order" for key in sorted(set(carrier) - set(found))]


def _rows(connection: Connection, query: str) -> list[Row]:
    return [dict(row) for row in connection.execute(text(query.replace(":", r"\:"))).mappings()]


def _by_order(connection: Connection, query: str) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in _rows(connection, query):
        found[row["order_id"]].append(row)
    return found


def _pieces(stock: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    # An article of which nothing was to be held yet may be named all the same.
    return {sku: dict(pieces) for sku, pieces in stock.items() if any(pieces.values())}


@contextmanager
def _reading(database_url: str) -> Iterator[Connection]:
    """One moment of a database: all statements see the same rows, and change none."""
    url = make_url(database_url).set(drivername="postgresql+pg8000")
    folder = url.query.get("host")
    if isinstance(folder, str) and folder.startswith("/"):
        url = url.set(query={"unix_sock": f"{folder}/.s.PGSQL.{url.query.get('port', 5432)}"})
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
