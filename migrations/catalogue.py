"""A catalogue: CSV with the columns ``sku`` and ``on_hand``. What is in stock already stays as it is."""

from __future__ import annotations

import csv
from pathlib import Path

from sqlalchemy.dialects.postgresql import insert

from orders.errors import OrderError
from orders.ledger.engine import Database
from orders.ledger.tables import stock

EXAMPLE = Path(__file__).with_name("catalogue.csv")


class InvalidCatalogue(OrderError):
    """A catalogue that can't be read; the text names the line."""


def read(file: Path) -> list[dict[str, str | int]]:
    """Read a catalogue.

    Raises:
        InvalidCatalogue: a line has no article or no number of pieces.
        OSError: the file can't be read.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if not {"sku", "on_hand"} <= set(rows.fieldnames or ()):
            raise InvalidCatalogue(f"{file}: the first line has to name the columns sku and on_hand")
        return [_article(file, rows.line_num, row) for row in rows]


def enter(database: Database, articles: list[dict[str, str | int]]) -> int:
    """Enter the articles that are not there yet, and say how many that were.

    Raises:
        DependencyUnavailable: PostgreSQL can't be reached.
    """
    rows = [{**article, "reserved": 0} for article in articles]
    statement = insert(stock).values(rows).on_conflict_do_nothing().returning(stock.c.sku)
    return database.run(lambda connection: len(connection.execute(statement).all())) if rows else 0


def _article(file: Path, line: int, row: dict[str, str]) -> dict[str, str | int]:
    sku, on_hand = (row["sku"] or "").strip(), (row["on_hand"] or "").strip()
    if not sku or not (on_hand.isascii() and on_hand.isdigit()):
        raise InvalidCatalogue(f"{file}, line {line}: write an article and how many pieces there are, as in ABC123,100")
    return {"sku": sku, "on_hand": int(on_hand)}
