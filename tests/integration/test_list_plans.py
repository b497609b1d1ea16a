"""How PostgreSQL finds the pages of a list, and the open orders, among a million."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, Select, create_engine, text

from orders.ledger.engine import pg8000_url
from orders.ledger.figures import FIGURES
from orders.ledger.lists import OrderFilter, Position
from orders.ledger.reader import listing
from orders.model import OrderStatus
from tests.examples import new_id
from tests.servers import TEMPLATE, create_database

ORDERS = 1_000_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = Position(BEGIN + timedelta(seconds=ORDERS // 2), f"ord_{ORDERS // 2:024x}")
PAGE = 51
"""The rows of a page of the usual length, and the one that tells whether there is another."""
FEW = 20
"""The blocks that a page may cost when an index has just its rows, in their order."""
STUCK = ORDERS // 997
CUSTOMER, SHOP = "C77@example.com", "shop@example.com"

FILL = f"""
insert into orders
select 'ord_' || lpad(to_hex(n), 24, '0'),
    case when mod(n, 50) > 0 then 'completed' else statuses[1 + mod(n / 50, 8)] end, 1, 'Ann',
    case when mod(n, 11) = 0 then '{SHOP}' else 'c' || mod(n, 20011) || '@Example.com' end, 'USD', 1,
    '[]', '{{}}', '{{}}', 'tok_visa', 'captured', 1, 0, 'run', 1,
    timestamptz '{BEGIN}' + n * interval '1 second', now(), 1, '{{}}', '{{}}',
    case when mod(n, 997) = 0 then '{{"payment": "no answer"}}'::jsonb end
from generate_series(1, {ORDERS}) n,
    (select array['received', 'in_review', 'paid', 'fulfilling', 'shipped', 'cancelled', 'expired', 'failed'] statuses)
"""

S = OrderStatus
WEEK: dict[str, Any] = {"created_after": BEGIN, "created_before": BEGIN + timedelta(days=7)}
FILTERS: dict[str, tuple[OrderFilter, int]] = {
    "all": (OrderFilter(), FEW),
    "a week": (OrderFilter(**WEEK), FEW),
    "a common status": (OrderFilter(frozenset({S.COMPLETED})), FEW),
    "a rare status": (OrderFilter(frozenset({S.PAID})), FEW),
    "a status that no order has": (OrderFilter(frozenset({S.REJECTED})), FEW),
    "some statuses": (OrderFilter(frozenset({S.PAID, S.FULFILLING, S.COMPLETED})), 3 * FEW),
    "every status": (OrderFilter(frozenset(S)), len(S) * FEW),
    "a status in a week": (OrderFilter(frozenset({S.PAID}), **WEEK), FEW),
    "stuck": (OrderFilter(is_stuck=True), FEW),
    "not stuck": (OrderFilter(is_stuck=False), FEW),
    "stuck in a week": (OrderFilter(is_stuck=True, **WEEK), FEW),
    # Here each row may stand in a block of its own.
    "a customer": (OrderFilter(customer_email=CUSTOMER), PAGE + FEW),
    "a customer with many orders": (OrderFilter(customer_email=SHOP), PAGE + FEW),
    "nobody": (OrderFilter(customer_email="nobody@example.com"), FEW),
    "a customer in a week": (OrderFilter(customer_email=CUSTOMER, **WEEK), PAGE + FEW),
    "a customer and a status": (OrderFilter(frozenset({S.COMPLETED}), CUSTOMER), PAGE + FEW),
    "a customer and some statuses": (OrderFilter(frozenset({S.PAID, S.COMPLETED}), CUSTOMER), 2 * (PAGE + FEW)),
    "a customer's that are stuck": (OrderFilter(customer_email=CUSTOMER, is_stuck=True), PAGE + FEW),
    # No index has both filters: at worst all are looked at that are stuck.
    "stuck with a status": (OrderFilter(frozenset({S.PAID}), is_stuck=True), STUCK + FEW),
    "stuck with some statuses": (OrderFilter(frozenset({S.PAID, S.COMPLETED}), is_stuck=True), 2 * (STUCK + FEW)),
}


@pytest.fixture(scope="module")
def million() -> Iterator[Engine]:
    """A database with a million orders, and the indexes that the migrations make."""
    url = create_database(f"million_{new_id()}", TEMPLATE)
    engine = create_engine(pg8000_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        indexes = connection.execute(
            text("select indexname, indexdef from pg_indexes where tablename = 'orders' and indexname like 'ix_%'")
        ).all()
        # Without indexes, and without a log, filling takes a tenth of the time.
        for index in indexes:
            connection.execute(text(f"drop index {index.indexname}"))
        for table in ("events", "payments", "shipments", "orders"):
            connection.execute(text(f"alter table {table} set unlogged"))
        connection.exec_driver_sql(FILL)
        for index in indexes:
            connection.execute(text(index.indexdef))
        connection.execute(text("vacuum analyze orders"))
    yield engine
    with engine.connect() as connection:
        connection.execute(text("truncate orders cascade"))


@pytest.mark.parametrize("after", [None, MIDDLE], ids=["first page", "later page"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_page_is_read_from_an_index_and_costs_its_rows(million: Engine, name: str, after: Position | None) -> None:
    wanted, at_most = FILTERS[name]
    with million.connect() as connection:
        assert excesses(connection, wanted, after, at_most) == []


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ("ix_orders_created_at", "all"),
        ("ix_orders_status", "a rare status"),
        ("ix_orders_customer_email", "a customer"),
        ("ix_orders_stuck", "stuck"),
    ],
)
def test_without_its_index_a_list_would_cost_more(million: Engine, index: str, name: str) -> None:
    wanted, at_most = FILTERS[name]
    with million.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        connection.execute(text(f"drop index {index}"))
        assert excesses(connection, wanted, None, at_most) != []
        connection.rollback()


def test_the_figures_of_open_orders_are_read_by_an_index_and_cost_no_more_than_these(million: Engine) -> None:
    with million.connect() as connection:
        plan = plan_of(connection, FIGURES)
    opened = ORDERS // 50 * 5 // 8
    assert not any(node["Node Type"].endswith("Seq Scan") for node in nodes(plan))
    # Each row may stand in a block of its own, and the index has some.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1.1 * opened


def excesses(connection: Connection, wanted: OrderFilter, after: Position | None, at_most: int) -> list[str]:
    """What is too much in the plan of the statement that finds a page, and in the blocks that finding it reads."""
    plan = list(nodes(plan_of(connection, listing(wanted, after, PAGE))))
    found = ["Seq Scan" for node in plan if (node["Node Type"], node.get("Relation Name")) == ("Seq Scan", "orders")]
    sorted_rows = [node["Plans"][0]["Actual Rows"] for node in plan if node["Node Type"].endswith("Sort")]
    found += [f"Sort of {rows} rows" for rows in sorted_rows if rows > PAGE]
    page = next(node for node in plan if node["Node Type"] == "Limit")
    blocks = page["Shared Hit Blocks"] + page["Shared Read Blocks"]
    return found + [f"{blocks} blocks, not {at_most}"] * (blocks > at_most)


def plan_of(connection: Connection, statement: Select[Any]) -> dict[str, Any]:
    query = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    parameters = tuple(query.params[name] for name in query.positiontup or ())
    explained = connection.exec_driver_sql(f"explain (analyze, buffers, timing off, format json) {query}", parameters)
    found: dict[str, Any] = explained.scalar_one()[0]["Plan"]
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)
