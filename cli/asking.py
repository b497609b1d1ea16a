"""The commands that ask the API: place an order, find it, follow it, change its mind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli import show
from cli.client import Filters, Order, OrdersClient
from cli.errors import StackError
from cli.terminal import AsJson, out, read, tell
from orders.settings import ClientSettings, load

app = typer.Typer()

OrderId = Annotated[str, typer.Argument(metavar="ID", help="The order's id, as `place` printed it.")]
Url = Annotated[str | None, typer.Option("--url", help="Where the API is; ORDERS_URL by default.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Names this order: with the same key it is not placed a second time.")
]
Stuck = Annotated[bool | None, typer.Option("--stuck/--not-stuck", help="Only those that don't get on, or do.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for the audit trail.")]
Note = Annotated[str | None, typer.Option("--note", help="Why, for the audit trail.")]


@app.command()
def place(
    file: Annotated[str, typer.Argument(help="A file with the order as JSON, or - for standard input.")],
    key: Key = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Place an order."""
    if file == "-" and not sys.stdin:
        raise StackError("there is no standard input to read the order from")
    body = sys.stdin.buffer.read() if file == "-" else read(Path(file))
    _answer(lambda client: client.place(body, key), url, as_json)


@app.command(name="list")
def list_orders(
    status: Annotated[list[str] | None, typer.Option(help="Only these; may be given several times.")] = None,
    email: Annotated[str | None, typer.Option(help="Only those of this customer.")] = None,
    after: Annotated[str | None, typer.Option(help="Only those placed then or later, as 2026-01-02T03:04:05Z.")] = None,
    before: Annotated[str | None, typer.Option(help="Only those placed before then.")] = None,
    stuck: Stuck = None,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List orders, newest first."""
    filters: Filters = {
        "status": status,
        "customer_email": email,
        "created_after": after,
        "created_before": before,
        "stuck": stuck,
    }
    with client_of(url) as client:
        found = client.find(most, **filters)
        if as_json:
            for order in found:
                print(json.dumps(order), flush=True)
        else:
            out.print(show.orders(found))


@app.command()
def stats(as_json: AsJson = False, url: Url = None) -> None:
    """Show what waits on each task queue, for how long, and who works on it."""
    with client_of(url) as client:
        queues = client.stats()
    if as_json:
        print(json.dumps(queues))
    else:
        out.print(show.queues(queues))


@app.command(name="show")
def show_order(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Show an order and its audit trail."""
    with client_of(url) as client:
        order, events = client.get(order_id), client.events(order_id)
    if as_json:
        print(json.dumps({**order, "events": events}))
    else:
        out.print(show.order_view(order))
        out.print()
        out.print(show.trail(events))


@app.command()
def watch(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Follow an order live until it is at its end."""
    with client_of(url) as client:
        for event in client.follow(order_id):
            tell(event, as_json)
        if not as_json:
            out.print(Text("the order is ") + show.coloured(client.get(order_id)["status"]))


@app.command()
def progress(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Show what an order is doing now, what it waits for and until when, and how often that was tried."""
    with client_of(url) as client:
        found = client.progress(order_id)
    if as_json:
        print(json.dumps(found))
    else:
        out.print(show.progress_view(found))


@app.command()
def approve(order_id: OrderId, note: Note = None, as_json: AsJson = False, url: Url = None) -> None:
    """Let an order in review go on."""
    _answer(lambda client: client.review(order_id, "approve", note), url, as_json)


@app.command()
def reject(order_id: OrderId, note: Note = None, as_json: AsJson = False, url: Url = None) -> None:
    """End an order in review."""
    _answer(lambda client: client.review(order_id, "reject", note), url, as_json)


@app.command()
def amend(
    order_id: OrderId,
    quantities: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SKU=QTY]…", help="New quantities, 0 drops an article; without any: what there is."),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Answer a shortage: go on with smaller quantities."""
    wanted = dict(_quantity(each) for each in quantities) if quantities else None
    _answer(lambda client: client.amend(order_id, wanted), url, as_json)


@app.command()
def cancel(order_id: OrderId, reason: Why = None, as_json: AsJson = False, url: Url = None) -> None:
    """Cancel an order and undo everything."""
    _answer(lambda client: client.cancel(order_id, reason), url, as_json)


@app.command()
def address(
    order_id: OrderId,
    street: Annotated[str, typer.Option()],
    city: Annotated[str, typer.Option()],
    state: Annotated[str | None, typer.Option()] = None,
    postal_code: Annotated[str | None, typer.Option()] = None,
    country: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2.")] = "US",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Send an order to another address."""
    new = {"street": street, "city": city, "state": state, "postal_code": postal_code, "country": country}
    _answer(lambda client: client.change_address(order_id, new), url, as_json)


@app.command(name="cancel-payment")
def cancel_payment(order_id: OrderId, reason: Why = None, as_json: AsJson = False, url: Url = None) -> None:
    """Take no money, or give it back; the order then waits for another payment method."""
    _answer(lambda client: client.cancel_payment(order_id, reason), url, as_json)


@app.command(name="retry-payment")
def retry_payment(
    order_id: OrderId,
    payment_method: Annotated[str, typer.Argument(help="Another payment method, such as tok_mastercard.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Offer another payment method to an order whose payment failed."""
    _answer(lambda client: client.retry_payment(order_id, payment_method), url, as_json)


def client_of(url: str | None, tries: int = 4) -> OrdersClient:
    """Make the client that asks the API at this address, or at that of the settings."""
    settings = load(ClientSettings)
    token = settings.token.get_secret_value() if settings.token else None
    return OrdersClient(url or settings.url, token, tries=tries)


def _answer(ask: Callable[[OrdersClient], Order], url: str | None, as_json: bool) -> None:
    with client_of(url) as client:
        order = ask(client)
    if as_json:
        print(json.dumps(order))
    else:
        out.print(show.order_view(order))


def _quantity(text: str) -> tuple[str, int]:
    sku, equals, qty = text.rpartition("=")
    if not (sku and equals and qty.isascii() and qty.isdigit()):
        raise StackError(f"{text} is no quantity: write SKU=QTY, as in ABC123=2")
    return sku, int(qty)
