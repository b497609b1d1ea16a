"""The commands that run the system here: ``up``, ``demo`` and ``reset``."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cli.demonstration import Demonstration
from cli.errors import StackError
from cli.terminal import AsJson, err, out, read
from orders.settings import ClientSettings

if TYPE_CHECKING:
    from cli.stack import Stack

app = typer.Typer()

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


@app.command()
def up(
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the API; API_PORT (8000) by default, 0 takes any.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Run the whole system here until Ctrl-C: PostgreSQL, Temporal, the API and the workers."""
    stack = _stack(data_dir.resolve(), api_port=api_port)

    async def stay(stop: asyncio.Event) -> int:
        _print_addresses(stack, as_json)
        if not as_json:
            out.print(f"ready {stack.api_url}")
        await stack.watch(stop)
        return 0

    sys.exit(asyncio.run(while_up(stack, stay)))


@app.command()
def demo(
    order: Annotated[Path, typer.Argument(help="The order to place.")] = EXAMPLE,
    as_json: AsJson = False,
) -> None:
    """Start everything, place one order, follow it until it is delivered, and stop everything."""
    body = read(order)
    folder = Path(tempfile.mkdtemp(prefix="orders-demo-"))
    stack = _stack(folder, keep=False, any_port=True, extra=DEMO_PACE)

    async def place_and_follow(stop: asyncio.Event) -> int:
        _print_addresses(stack, as_json)
        demonstration = Demonstration(stack.api_url, as_json, stop, stack.traces_url)
        following = asyncio.create_task(asyncio.to_thread(demonstration.run, body))
        watching = asyncio.create_task(stack.watch(stop))
        await asyncio.wait([following, watching], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await watching
        return await following

    try:
        code = asyncio.run(while_up(stack, place_and_follow))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


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
        from cli.embedded import EmbeddedPostgres  # noqa: PLC0415 - as with the stack

        _stack(folder).take_over()
        if (folder / "postgres" / "postmaster.pid").exists():
            # A run that was killed has left it, or it is not running at all; either way it is stopped after this.
            EmbeddedPostgres(folder / "postgres").stop()
        shutil.rmtree(folder)
    if as_json:
        print(json.dumps({"deleted": str(folder) if found else None}))
    else:
        out.print(f"deleted {folder}" if found else f"there is nothing in {folder}")


def _stack(folder: Path, **given: Any) -> Stack:
    # Servers and their drivers take half a second to import, which is for those who start them.
    try:
        from cli.stack import Stack  # noqa: PLC0415
    except ImportError as error:
        raise StackError(f"to run the system here needs pip install 'order-lifecycle[local]' ({error})") from error

    return Stack(folder, say=_note, **given)


async def while_up(stack: Stack, work: Callable[[asyncio.Event], Any]) -> int:
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
    from cli.embedded import PSQL  # noqa: PLC0415 - as with the stack

    rows = {
        "API": stack.api_url,
        "its documentation": f"{stack.api_url}/docs",
        "Temporal's page": stack.temporal_ui or "where your Temporal server has it",
        "Temporal": stack.environment["TEMPORAL_ADDRESS"],
        "PostgreSQL": f"{PSQL} '{stack.database_url_for_people}'",
        "logs": f"{stack.folder / 'logs'}",
        "metrics": ", ".join(stack.metrics_urls.values()) or "not served: OpenTelemetry's settings say so",
        "traces": _where_traces_are(stack),
    }
    if as_json:
        print(json.dumps({"ready": stack.api_url, **rows}), flush=True)
    else:
        for name, value in rows.items():
            out.print(Text(f"{name:<20}{value}"), soft_wrap=True)


def _where_traces_are(stack: Stack) -> str:
    if not stack.traces_url:
        return "not kept here: OpenTelemetry's settings say so"
    is_default = stack.traces_url == ClientSettings.model_fields["traces_url"].default
    return f"{'' if is_default else f'ORDERS_TRACES_URL={stack.traces_url} '}orders trace ID"


def _note(line: str) -> None:
    err.print(Text(line, style="yellow"))
