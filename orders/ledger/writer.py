"""Writing: one statement appends events and brings the order's row, payments, shipments and the stock up to date."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Executable,
    Select,
    Table,
    Text,
    bindparam,
    column,
    delete,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import DBAPIError

from orders.contracts import Recorded, RecordEvents, RecordRefusal
from orders.errors import DependencyUnavailable, StaleWrite
from orders.ledger.engine import Database
from orders.ledger.tables import events, orders, payments, shipments, stock
from orders.model import FINAL, EventType
from orders.order import Holding


def _rows_of(table: Table, parameter: str) -> Select[Any]:
    """Select the rows that a JSON parameter holds, with the columns and types of a table."""
    columns = [column(each.name, each.type) for each in table.columns]
    return select(
        *func.jsonb_to_recordset(bindparam(parameter, type_=JSONB))
        .table_valued(*columns)
        .render_derived(with_types=True)
        .c
    )


def _build() -> Executable:
    row = _rows_of(orders, "order").where(~_names_unknown_article())
    new_order = insert(orders).from_select(list(orders.columns.keys()), row)
    new = new_order.excluded
    written = (
        new_order.on_conflict_do_update(
            index_elements=[orders.c.id],
            set_={**{name: new[name] for name in _CHANGING}, "stock_before": orders.c.stock},
            # A decision on an older state of the history never replaces one on a newer state.
            where=or_(
                orders.c.run_id != new.run_id,
                tuple_(orders.c.history_length, orders.c.version) <= tuple_(new.history_length, new.version),
            ),
        )
        .returning(orders.c.id, orders.c.version, orders.c.stock, orders.c.stock_before)
        .cte("written")
    )

    # What follows happens only if the order's row was written: each row to be is joined to it.
    def put(table: Table, parameter: str, changing: list[str]) -> CTE:
        rows = _rows_of(table, parameter).where(exists(select(written.c.id)))
        into = insert(table).from_select(list(table.columns.keys()), rows)
        return (
            into.on_conflict_do_update(
                index_elements=list(table.primary_key), set_={name: into.excluded[name] for name in changing}
            )
            .returning(table.c.order_id, _WAS_THERE)
            .cte(f"put_{table.name}")
        )

    # Rows beyond the new state were written by a worker that died before its decision counted.
    def trim(table: Table, position: Column[Any], length: ColumnElement[int]) -> CTE:
        beyond = delete(table).where(table.c.order_id == written.c.id, position > length)
        return beyond.returning(table.c.order_id).cte(f"trim_{table.name}")

    new_events = put(events, "events", ["type", "at", "actor", "data", "trace_id"])
    replaced = exists(select(new_events.c.order_id).where(new_events.c.was_there))
    return select(written.c.version, replaced.label("replaced")).add_cte(
        put(payments, "payments", ["number", "kind", "amount", "method", "status", "reference", "error"]),
        put(shipments, "shipments", ["status", "carrier", "tracking_number", "address"]),
        _move_stock(written),
        trim(events, events.c.seq, written.c.version),
        trim(payments, payments.c.number, func.jsonb_array_length(bindparam("payments", type_=JSONB))),
        trim(shipments, shipments.c.number, func.jsonb_array_length(bindparam("shipments", type_=JSONB))),
    )


def _names_unknown_article() -> ColumnElement[bool]:
    named = func.jsonb_object_keys(bindparam("stock", type_=JSONB)).table_valued("sku", name="named").render_derived()
    return exists(select(named.c.sku).where(~exists(select(stock.c.sku).where(stock.c.sku == named.c.sku))))


def _move_stock(written: CTE) -> CTE:
    """Bring the stock from what the order had of it to what it has now: the difference, article by article."""

    def had(column: ColumnElement[Any], sign: int, name: str) -> Select[Any]:
        each = func.jsonb_each(column).table_valued("key", Column("value", JSONB), name=name)
        pieces = [(each.c.value[what].astext.cast(BigInteger) * sign).label(what) for what in ("held", "taken")]
        return select(each.c.key.label("sku"), *pieces).select_from(written.join(each, true()))

    both = union_all(had(written.c.stock, 1, "now"), had(written.c.stock_before, -1, "before")).subquery("both")
    held, taken = func.sum(both.c.held).label("held"), func.sum(both.c.taken).label("taken")
    moved = select(both.c.sku, held, taken).group_by(both.c.sku).having(or_(held != 0, taken != 0)).cte("moved")
    # Rows are locked in the same order by everybody, so that no two orders wait for each other.
    locked = (
        select(stock.c.sku).where(stock.c.sku.in_(select(moved.c.sku))).order_by(stock.c.sku).with_for_update()
    ).cte("locked")
    return (
        update(stock)
        .where(stock.c.sku == moved.c.sku, stock.c.sku == locked.c.sku)
        .values(reserved=stock.c.reserved + moved.c.held, on_hand=stock.c.on_hand - moved.c.taken)
        .returning(stock.c.sku)
        .cte("move_stock")
    )


# An upsert leaves in xmax who locked the row that it found, and 0 where it found none (PostgreSQL manual, 5.6).
_WAS_THERE = literal_column("xmax::text != '0'", Boolean).label("was_there")
_CHANGING = [
    "status",
    "version",
    "shipping_address",
    "payment_method",
    "payment_status",
    "authorized",
    "captured",
    "refunded",
    "lines",
    "total",
    "stock",
    "stuck",
    "waiting_until",
    "run_id",
    "history_length",
    "updated_at",
]
_RECORD = _build()

CHECK_VIOLATION = "23514"
"""SQLSTATE of a check that fails (PostgreSQL manual, appendix A)."""
_NO_OVERSELL = "stock_no_oversell_check"

_REFUSAL = ("request", "reason", "message_id")
MAX_REFUSALS = 100
"""How many refusals are appended to the trail of an order that is at its end."""


def _build_refusal() -> Executable:
    late = events.c.data["message_id"].astext
    of_order = select(func.count()).where(events.c.order_id == bindparam("order_id")).select_from(events)
    last = (
        update(orders)
        .where(
            orders.c.id == bindparam("order_id"),
            # While an order lives its own workflow is the only writer.
            orders.c.status.in_(FINAL),
            of_order.where(late == bindparam("message_id")).scalar_subquery() == 0,
            of_order.where(late.is_not(None)).scalar_subquery() < MAX_REFUSALS,
        )
        .values(version=orders.c.version + 1, updated_at=func.greatest(orders.c.updated_at, bindparam("at")))
        .returning(orders.c.id, orders.c.version)
        .cte("last")
    )
    given = [bindparam("at", type_=DateTime(timezone=True)), bindparam("actor", type_=Text)]
    given += [bindparam("data", type_=JSONB), bindparam("trace_id", type_=Text)]
    row = select(last.c.id, last.c.version, literal(EventType.REFUSED.value), *given)
    return insert(events).from_select(["order_id", "seq", "type", "at", "actor", "data", "trace_id"], row)


_RECORD_REFUSAL = _build_refusal()


class Ledger:
    """The writing side, used by the ledger's activities alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: RecordEvents) -> Recorded:
        """Append events and bring the order and the stock up to date, in one statement; a repeat changes nothing.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached; nothing was written, or all of it.
            StaleWrite: a newer decision stands in the ledger; nothing was written.
        """
        rows = _rows(entry)
        try:
            replaced = self._write(rows)
        except DBAPIError as error:
            if not _is_oversold(error):
                raise
            if missing := self._missing(entry):
                return Recorded(missing)
            # Somebody has let go of the pieces in this very moment.
            raise DependencyUnavailable("the stock", "it changed meanwhile, ask again") from error
        if replaced is None:
            unknown: dict[str, int | None] = {sku: None for sku, free in self._missing(entry).items() if free is None}
            if unknown:
                return Recorded(unknown)
            raise StaleWrite(entry.order.id)
        if replaced:
            # It replaced events of another write. That one may have been committed while this one waited for it; its
            # rows beyond the new state are then seen, and removed, only by a statement that begins later.
            self._write(rows)
        return Recorded()

    def record_refusal(self, refusal: RecordRefusal) -> None:
        """Append a refusal to the trail of an order that is at its end; a repeat changes nothing.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        values = {**asdict(refusal), "data": {name: getattr(refusal, name) for name in _REFUSAL}}
        self._database.run(lambda connection: connection.execute(_RECORD_REFUSAL, values))

    def _write(self, rows: dict[str, Any]) -> bool | None:
        """Say whether events were replaced; None if nothing was written."""
        written = self._database.run(lambda connection: connection.execute(_RECORD, rows).one_or_none())
        return None if written is None else bool(written.replaced)

    def _missing(self, entry: RecordEvents) -> dict[str, int | None]:
        """Say of which articles to be held there are less pieces, and how many; None where there is no such article."""
        wanted = entry.hold or {}
        # What an earlier try holds for this very order is there for it.
        own = orders.c.stock[stock.c.sku]["held"].astext.cast(BigInteger)
        free = (
            select(stock.c.sku, stock.c.on_hand - stock.c.reserved + func.coalesce(own, 0))
            .select_from(stock.outerjoin(orders, orders.c.id == entry.order.id))
            .where(stock.c.sku.in_(wanted))
        )
        found = dict(self._database.run(lambda connection: connection.execute(free).tuples().all()))
        return {sku: found.get(sku) for sku, qty in sorted(wanted.items()) if found.get(sku, -1) < qty}


def _is_oversold(error: DBAPIError) -> bool:
    # pg8000 gives the server's answer as a dictionary: "C" is the SQLSTATE, "n" the name of the constraint.
    answer = error.orig.args[0] if error.orig and error.orig.args else None
    return isinstance(answer, dict) and (answer.get("C"), answer.get("n")) == (CHECK_VIOLATION, _NO_OVERSELL)


def _rows(entry: RecordEvents) -> dict[str, Any]:
    order, details = entry.order, entry.order.details
    wanted = order.stock if entry.hold is None else {sku: Holding(qty) for sku, qty in entry.hold.items()}
    held = {sku: asdict(holding) for sku, holding in wanted.items()}
    return {
        # Only what is to be held has to be there still: an article of a parcel that has left may be gone by now.
        "stock": dict.fromkeys(entry.hold or {}),
        "order": [
            {
                "id": order.id,
                "status": order.status,
                "version": order.version,
                "customer_name": details.customer_name,
                "customer_email": details.customer_email,
                "currency": details.currency,
                "total": details.total.amount,
                "lines": [asdict(line) for line in details.lines],
                "shipping_address": asdict(details.shipping_address),
                "metadata": details.metadata,
                "payment_method": details.payment_method,
                "payment_status": order.payment.status,
                "authorized": order.payment.authorized,
                "captured": order.payment.captured,
                "refunded": order.payment.refunded,
                "stock": held,
                "stock_before": {},
                "stuck": order.stuck or None,
                "waiting_until": order.waiting_until.isoformat() if order.waiting_until else None,
                "run_id": entry.run_id,
                "history_length": entry.history_length,
                "created_at": order.created_at.isoformat(),
                "updated_at": order.updated_at.isoformat(),
                "traceparent": entry.traceparent,
            }
        ],
        "events": [{"order_id": order.id, **asdict(event), "at": event.at.isoformat()} for event in entry.events],
        "payments": [
            {"order_id": order.id, "number": number, **asdict(operation)}
            for number, operation in enumerate(order.payment.operations, start=1)
        ],
        "shipments": [
            {"order_id": order.id, "number": number, **asdict(shipment)}
            for number, shipment in enumerate(order.shipments, start=1)
        ],
    }
