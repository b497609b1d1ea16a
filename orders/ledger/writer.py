"""Writing: one statement appends events and brings the order's row, payments and shipments up to date."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    CTE,
    Boolean,
    Column,
    ColumnElement,
    Executable,
    Select,
    Table,
    bindparam,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from orders.contracts import RecordEvents
from orders.errors import StaleWrite
from orders.ledger.engine import Database
from orders.ledger.tables import events, orders, payments, shipments


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
    new_order = insert(orders).from_select(list(orders.columns.keys()), _rows_of(orders, "order"))
    new = new_order.excluded
    written = (
        new_order.on_conflict_do_update(
            index_elements=[orders.c.id],
            set_={name: new[name] for name in _CHANGING},
            # A decision on an older state of the history never replaces one on a newer state.
            where=or_(
                orders.c.run_id != new.run_id,
                tuple_(orders.c.history_length, orders.c.version) <= tuple_(new.history_length, new.version),
            ),
        )
        .returning(orders.c.id, orders.c.version)
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

    new_events = put(events, "events", ["type", "at", "actor", "data"])
    replaced = exists(select(new_events.c.order_id).where(new_events.c.was_there))
    return select(written.c.version, replaced.label("replaced")).add_cte(
        put(payments, "payments", ["number", "kind", "amount", "method", "status", "reference", "error"]),
        put(shipments, "shipments", ["status", "carrier", "tracking_number", "address"]),
        trim(events, events.c.seq, written.c.version),
        trim(payments, payments.c.number, func.jsonb_array_length(bindparam("payments", type_=JSONB))),
        trim(shipments, shipments.c.number, func.jsonb_array_length(bindparam("shipments", type_=JSONB))),
    )


# An upsert leaves in xmax who locked the row that it found, and 0 where it found none (PostgreSQL manual, 5.6).
_WAS_THERE = literal_column("xmax::text != '0'", Boolean).label("was_there")
_CHANGING = [
    "status",
    "version",
    "shipping_address",
    "payment_method",
    "payment_status",
    "captured",
    "refunded",
    "run_id",
    "history_length",
    "updated_at",
]
_RECORD = _build()


class Ledger:
    """The writing side, used by the ``record`` activity alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, entry: RecordEvents) -> None:
        """Append events and bring the order up to date, in one statement; a repeat changes nothing.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached; nothing was written, or all of it.
            StaleWrite: a newer decision stands in the ledger; nothing was written.
        """
        rows = _rows(entry)
        if self._write(entry, rows):
            # It replaced events of another write. That one may have been committed while this one waited for it; its
            # rows beyond the new state are then seen, and removed, only by a statement that begins later.
            self._write(entry, rows)

    def _write(self, entry: RecordEvents, rows: dict[str, list[dict[str, Any]]]) -> bool:
        written = self._database.run(lambda connection: connection.execute(_RECORD, rows).one_or_none())
        if written is None:
            raise StaleWrite(entry.order.id)
        return bool(written.replaced)


def _rows(entry: RecordEvents) -> dict[str, list[dict[str, Any]]]:
    order, details = entry.order, entry.order.details
    return {
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
                "captured": order.payment.captured,
                "refunded": order.payment.refunded,
                "run_id": entry.run_id,
                "history_length": entry.history_length,
                "created_at": order.created_at.isoformat(),
                "updated_at": order.updated_at.isoformat(),
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
