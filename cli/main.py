"""``orders``: run the system here, and place, follow and change orders over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from cli import show
from cli.client import ApiError, OrdersClient
from cli.demonstration import Demonstration
from cli.embedded import PSQL, EmbeddedPostgres
from cli.stack import Stack, StackError
from orders.errors import InvalidSetting
from orders.settings import ClientSettings, load

app = typer.Typer(
    help="Orders from received to delivered.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

OrderId = Annotated[str, typer.Argument(metavar="ID", help="The order's id, as `place` printed it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Url = Annotated[str | None, typer.Option("--url", help="Where the API is; ORDERS_URL by default.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for the audit trail.")]
Note = Annotated[str | None, typer.Option("--note", help="Why, for the audit trail.")]
DataDir = Annotated[Path, typer.Option(help="Where the local system keeps its data.")]
DEFAULT_DATA = Path(".local")
EXAMPLE = Path("examples/order.json")

# The demonstration's partners take a little while, so that one can see the steps pass.
DEMO_PACE = {
    "PAYMENT_LATENCY": "0.4",
    "WAREHOUSE_LATENCY": "0.3",
    "CARRIER_LATENCY": "0.2",
    "CARRIER_TRANSIT": "1",
}


def main() -> None:
    """Run the command; errors that a person can mend are one line, without a stack trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter shows its code instead of failing.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            # Here and not at the exit, where nobody could catch what goes wrong.
            sys.stdout.flush()
    except ApiError as error:
        _fail(1, error.problem)
    except (StackError, InvalidSetting) as error:
        _fail(2, {"title": "Not possible", "detail": str(error)})
    except BrokenPipeError:
        # Who read this has gone away.
        _let_go_of_stdout()
        sys.exit(1)
    except (OSError, UnicodeError) as error:
        _fail(2, {"title": "Not possible", "detail": str(error)})


def _let_go_of_stdout() -> None:
    # What is left in its buffer has no reader: at the exit it must not fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(code: int, problem: dict[str, Any]) -> NoReturn:
    try:
        if "--json" in sys.argv:
            print(json.dumps(problem))
        elif code == 1:
            show.problem_lines(err, problem)
        else:
            err.print(Text(problem["detail"], style="red"))
        sys.stdout.flush()
    except OSError:
        # It is standard output itself that fails.
        if "--json" in sys.argv:
            err.print(Text(problem["detail"], style="red"))
        _let_go_of_stdout()
    sys.exit(code)


@app.command()
def up(
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the API; API_PORT (8000) by default, 0 takes any.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Run the whole system here until Ctrl-C: PostgreSQL, Temporal, the API and the workers."""
    stack = Stack(data_dir.resolve(), say=_note, api_port=api_port)

    async def stay(stop: asyncio.Event) -> int:
        _print_addresses(stack, as_json)
        if not as_json:
            out.print(f"ready {stack.api_url}")
        await stack.watch(stop)
        return 0

    sys.exit(asyncio.run(_with(stack, stay)))


@app.command()
def demo(
    order: Annotated[Path, typer.Argument(help="The order to place.")] = EXAMPLE,
    as_json: AsJson = False,
) -> None:
    """Start everything, place one order, follow it until it is delivered, and stop everything."""
    body = _read(order)
    folder = Path(tempfile.mkdtemp(prefix="orders-demo-"))
    stack = Stack(folder, say=_note, keep=False, any_port=True, extra=DEMO_PACE)

    async def place_and_follow(stop: asyncio.Event) -> int:
        _print_addresses(stack, as_json)
        demonstration = Demonstration(stack.api_url, as_json, stop)
        following = asyncio.create_task(asyncio.to_thread(demonstration.run, body))
        watching = asyncio.create_task(stack.watch(stop))
        await asyncio.wait([following, watching], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await watching
        return await following

    try:
        code = asyncio.run(_with(stack, place_and_follow))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


@app.command()
def place(
    file: Annotated[str, typer.Argument(help="A file with the order as JSON, or - for standard input.")],
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Place an order."""
    if file == "-" and not sys.stdin:
        raise StackError("there is no standard input to read the order from")
    body = sys.stdin.buffer.read() if file == "-" else _read(Path(file))
    _answer(lambda client: client.place(body), url, as_json)


@app.command(name="show")
def show_order(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Show an order and its audit trail."""
    with _client(url) as client:
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
    with _client(url) as client:
        for event in client.follow(order_id):
            print(json.dumps(event), flush=True) if as_json else out.print(show.event_line(event))
        if not as_json:
            out.print(Text("the order is ") + show.coloured(client.get(order_id)["status"]))


@app.command()
def progress(order_id: OrderId, as_json: AsJson = False, url: Url = None) -> None:
    """Show what an order is doing now, what it waits for and until when, and how often that was tried."""
    with _client(url) as client:
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


@app.command()
def reset(
    data_dir: DataDir = DEFAULT_DATA,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete the data of the local system, after asking."""
    folder = data_dir.resolve()
    found = folder.exists()
    if found:
        if not (folder / "logs").is_dir():
            raise StackError(f"{folder} does not look like the data of a local system: nothing was deleted")
        if not yes:
            typer.confirm(f"Delete all orders and workflows in {folder}?", abort=True, err=as_json)
        Stack(folder, say=_note).take_over()
        if (folder / "postgres" / "postmaster.pid").exists():
            # A run that was killed has left it, or it is not running at all; either way it is stopped after this.
            EmbeddedPostgres(folder / "postgres").stop()
        shutil.rmtree(folder)
    if as_json:
        print(json.dumps({"deleted": str(folder) if found else None}))
    else:
        out.print(f"deleted {folder}" if found else f"there is nothing in {folder}")


async def _with(stack: Stack, work: Callable[[asyncio.Event], Any]) -> int:
    """Start the stack, do the work, and stop the stack whatever happens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, stop.set)
    starting = asyncio.create_task(stack.start())
    stopped = asyncio.create_task(stop.wait())
    try:
        with err.status("starting PostgreSQL, Temporal, the API and the workers"):
            await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return 0
        await starting
        code: int = await work(stop)
        return code
    finally:
        stopped.cancel()
        with err.status("stopping"):
            await asyncio.to_thread(stack.stop)


def _print_addresses(stack: Stack, as_json: bool) -> None:
    rows = {
        "API": stack.api_url,
        "its documentation": f"{stack.api_url}/docs",
        "Temporal's page": stack.temporal_ui or "where your Temporal server has it",
        "Temporal": stack.environment["TEMPORAL_ADDRESS"],
        "PostgreSQL": f"{PSQL} '{stack.database_url_for_people}'",
        "logs": f"{stack.folder / 'logs'}",
    }
    if as_json:
        print(json.dumps({"ready": stack.api_url, **rows}), flush=True)
    else:
        for name, value in rows.items():
            out.print(Text(f"{name:<20}{value}"), soft_wrap=True)


def _client(url: str | None) -> OrdersClient:
    return OrdersClient(url or load(ClientSettings).url)


def _answer(ask: Callable[[OrdersClient], dict[str, Any]], url: str | None, as_json: bool) -> None:
    with _client(url) as client:
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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StackError(f"{file} can't be read: {error.strerror}") from error


def _note(line: str) -> None:
    err.print(Text(line, style="yellow"))


if __name__ == "__main__":
    main()
