"""Migrations expand first and contract later: the release before works on the schema of the next one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.contracting import contractions, contracts

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "migrations" / "versions").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_migration_that_contracts_says_since_which_release_nobody_uses_what_goes(file: Path) -> None:
    source = file.read_text()
    found, since = contractions(source), contracts(source)
    if not found:
        assert since is None, "it takes nothing away: leave `contracts` out"
        return
    assert since, f'old code may fail on it; say `contracts = "RELEASE"` (docs/releases.md), or don\'t: {found}'
    this = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert numbers(since) < numbers(this), f"the release before {this} may still use it: contract one release later"


def numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in release.split("."))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ('op.drop_table("orders")', "drop_table"),
        ('op.drop_column("orders", "stuck")', "drop_column"),
        ('op.rename_table("orders", "purchases")', "rename_table"),
        ('op.alter_column("orders", "stuck", new_column_name="trouble")', "alter_column, new_column_name"),
        ('op.alter_column("orders", "stuck", nullable=False)', "alter_column, nullable"),
        ('op.alter_column("orders", "stuck", server_default=None)', "alter_column, server_default"),
        ('op.alter_column("orders", "total", type_=sa.Integer)', "alter_column, type_"),
        ('op.add_column("orders", sa.Column("region", sa.Text, nullable=False))', "add_column, without a default"),
        ('op.create_unique_constraint("one", "orders", ["customer_email"])', "create_unique_constraint"),
        ('op.create_index("one", "orders", ["customer_email"], unique=True)', "create_index, unique"),
        ('op.create_check_constraint("some", "orders", "total > 0")', "create_check_constraint"),
        ('op.create_foreign_key("of", "orders", "customers", ["customer"], ["id"])', "create_foreign_key"),
        ('op.execute("ALTER TABLE orders DROP COLUMN stuck")', "drop column"),
        ('op.execute("alter table orders rename to purchases")', "rename"),
        ('op.execute("alter table orders alter stuck set not null")', "set not null"),
        ('op.execute(f"create unique index one on {table} (customer_email)")', "create unique"),
        ('op.drop_constraint("events_pkey", "events")', "drop_constraint"),
        ('op.drop_constraint("one_email", "orders", type_="unique")', "drop_constraint"),
        ('op.drop_index("orders_pkey")', "drop_index"),
        ('op.execute("alter table orders drop metadata")', "drop metadata"),
        ('op.execute("alter table orders alter metadata type text")', "alter metadata type"),
        ('op.execute("alter table orders add gift text not null")', "add gift text not null"),
        ('op.execute("alter table orders add column gift text not null")', "add column gift text not null"),
        (
            'op.execute("alter table orders add a int not null default 0, add b numeric(9, 2) not null")',
            "add b numeric(9, 2) not null",
        ),
        ('op.execute("alter table events drop constraint events_pkey")', "drop constraint"),
        ('op.execute("alter table events add primary key (order_id)")', "add primary"),
        ('op.execute("drop index ix_orders_status")', "drop index"),
        ('op.execute("create trigger t before insert on events execute function f()")', "create trigger"),
        ('op.execute("revoke update on orders from orders_write")', "revoke update"),
        ('op.execute("alter table orders set schema old")', "set schema"),
        ('op.execute(f"alter table {table} drop {column}")', "drop column"),
    ],
)
def test_what_the_release_before_may_fail_on_is_found(statement: str, found: str) -> None:
    assert contractions(f"def upgrade():\n    {statement}\n") == [f"line 2: {found}"]


@pytest.mark.parametrize(
    "statement",
    [
        'op.create_table("customers", sa.Column("id", sa.Text, nullable=False))',
        'op.add_column("orders", sa.Column("region", sa.Text))',
        'op.add_column("orders", sa.Column("region", sa.Text, nullable=False, server_default=""))',
        'op.alter_column("orders", "stuck", nullable=True, comment="why")',
        'op.drop_constraint("orders_money_check", "orders")',
        'op.drop_constraint("of_customer", "orders", type_="foreignkey")',
        'op.create_index("of", "orders", ["region"])',
        'op.execute("alter table orders drop constraint if exists orders_money_check")',
        'op.execute("alter table orders alter stuck drop not null")',
        'op.execute("alter table orders add gift text, add region text not null default $$north$$")',
        'op.execute(f"drop index if exists {name}"); op.execute(f"create index concurrently {name} on orders (id)")',
        '"""Rename what people see."""',
        'op.execute("update orders set region = $$north$$ where region is null")',
        'op.create_table("a", sa.Column("b", sa.Text)); op.create_unique_constraint("one", "a", ["b"])',
    ],
)
def test_what_the_release_before_does_not_notice_is_let_pass(statement: str) -> None:
    assert contractions(f"def upgrade():\n    {statement}\n") == []
