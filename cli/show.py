"""How orders look in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.client import Event, Order, Progress, Queue

Json = dict[str, Any]
_ADDRESS = ("street", "city", "state", "postal_code", "country")

_COLOURS = {
    "completed": "green",
    "delivered": "green",
    "captured": "green",
    "cancelled": "yellow",
    "refunded": "yellow",
    "recalled": "yellow",
    "rejected": "red",
    "declined": "red",
    "payment_failed": "red",
    "expired": "red",
    "failed": "red",
}


def coloured(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_COLOURS.get(status.removeprefix("payment_"), _COLOURS.get(status, "cyan")))


def order_view(order: Order) -> RenderableType:
    """An order on one screen."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("order", Text(order["id"], style="bold"))
    facts.add_row("status", coloured(order["status"]))
    facts.add_row("customer", Text(f"{order['customer_name']} <{order['customer_email']}>"))
    if order["stuck"]:
        facts.add_row("stuck", Text(order["stuck"], style="red"))
    address = order["shipping_address"]
    facts.add_row("ships to", Text(", ".join(str(value) for value in address.values() if value)))
    payment = order["payment"]
    paid = Text(f"{payment['captured']} taken, {payment['refunded']} given back, {order['currency']}  ")
    facts.add_row("payment", paid + coloured(payment["status"]))
    for shipment in order["shipments"]:
        parcel = Text(" ".join(str(shipment[name]) for name in ("carrier", "tracking_number") if shipment[name]))
        facts.add_row(f"parcel {shipment['id'].rpartition(':')[2]}", parcel + Text("  ") + coloured(shipment["status"]))
    items = Table("article", "pieces", "price", title=None, box=None, padding=(0, 2))
    for item in order["items"]:
        items.add_row(Text(item["sku"]), str(item["qty"]), item["price"])
    items.add_row(Text("total", style="bold"), "", Text(f"{order['total']} {order['currency']}", style="bold"))
    return Group(facts, "", items)


def orders(orders: Iterable[Order]) -> Table:
    """Orders as a table."""
    table = Table(box=None, padding=(0, 2))
    # Whole, however narrow the terminal is: the next command wants it.
    table.add_column("order", no_wrap=True, min_width=28)
    for title in ("placed", "status", "customer", "total", "stuck"):
        table.add_column(title, overflow="fold")
    for order in orders:
        table.add_row(
            Text(order["id"]),
            _local(order["created_at"]),
            coloured(order["status"]),
            Text(order["customer_email"]),
            Text(f"{order['total']} {order['currency']}"),
            Text(order["stuck"] or "", style="red"),
        )
    return table


def queues(queues: Iterable[Queue]) -> Table:
    """Task queues as a table."""
    table = Table("queue", "tasks", "wait", "the oldest for", "come", "go", "pollers", box=None, padding=(0, 2))
    for queue in queues:
        table.add_row(
            queue["queue"],
            queue["kind"],
            str(queue["backlog"]),
            f"{queue['oldest_seconds']:.1f} s",
            f"{queue['added_per_second']:.1f}/s",
            f"{queue['dispatched_per_second']:.1f}/s",
            Text(str(queue["pollers"]), style="" if queue["pollers"] else "red"),
        )
    return table


def progress_view(progress: Progress) -> RenderableType:
    """What an order is doing, on one screen."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("order", Text(progress["id"], style="bold"))
    facts.add_row("status", coloured(progress["status"]))
    facts.add_row("step", Text(progress["step"]))
    until = _local(progress["until"]) if progress["until"] else None
    for title, value in (("waits for", progress["waits_for"]), ("until", until), ("stuck", progress["stuck"])):
        if value:
            facts.add_row(title, Text(value))
    facts.add_row("told by", Text(progress["source"]))
    tried = Table("trying", "attempt", "now", "the last one failed with", box=None, padding=(0, 2))
    for each in progress["attempts"]:
        now = "running" if each["is_running"] else f"waits until {_local(each['next_at'])}" if each["next_at"] else ""
        tried.add_row(Text(each["step"]), str(each["attempt"]), Text(now), Text(each["last_error"] or ""))
    return Group(facts, "", tried) if progress["attempts"] else facts


def trail(events: Iterable[Event], title: str | None = None) -> Table:
    """An audit trail as a table."""
    table = Table("seq", "after", "event", "by", title=title, title_justify="left", box=None, padding=(0, 2))
    table.add_column("what", overflow="fold")
    start: datetime | None = None
    for event in events:
        at = datetime.fromisoformat(event["at"])
        start = start or at
        after = f"{(at - start).total_seconds():.2f} s"
        table.add_row(str(event["seq"]), after, coloured(event["type"]), Text(event["actor"]), Text(_what(event)))
    return table


def event_line(event: Event) -> Text:
    """One event as it happens."""
    at = datetime.fromisoformat(event["at"]).astimezone()
    line = Text(f"{at:%H:%M:%S}  {event['seq']:>3}  ")
    return line + coloured(f"{event['type']:<24}") + Text(f" {_what(event)}", style="dim")


def problem_lines(console: Console, problem: Json) -> None:
    """An error, with each field that it names."""
    console.print(Text(f"{problem.get('title', 'Error')}: ", style="bold red") + Text(problem["detail"]))
    for error in problem.get("errors") or []:
        where = error.get("pointer") or error.get("parameter") or error.get("header")
        console.print(Text(f"  {where}: {error['detail']}"))


def _local(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def _what(event: Event) -> str:
    data = event["data"]
    match event["type"]:
        case "received":
            what = [f"{len(data['items'])} items for {data['customer_name']}"]
        case "review_started":
            what = [f"until {_local(data['until'])},", "a person decides" if data["by_person"] else "then it goes on"]
        case "stock_short":
            what = [f"{each['available']} of {each['wanted']} {each['sku']}" for each in data["short"]]
        case "amended":
            what = [f"{each['qty']} {each['sku']}" for each in data["items"]]
        case "address_changed" | "dispatched":
            what = [", ".join(data["address"][name] for name in _ADDRESS if data["address"].get(name))]
        case _ if "amount" in data:
            what = [str(data[name]) for name in ("amount", "currency", "reference") if data.get(name)]
        case _:
            what = [str(value) for value in data.values() if value is not None]
    return " ".join(what)
