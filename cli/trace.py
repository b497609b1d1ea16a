"""``orders trace``: how an order's time went."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from cli.asking import OrderId, Url, client_of
from cli.terminal import AsJson, out, write
from cli.traces import TracesClient
from cli.waterfall import Waterfall
from cli.waterfall_terminal import WaterfallView
from orders.settings import ClientSettings, load

app = typer.Typer()


@app.command()
def trace(
    order_id: OrderId,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it into this file, as a page for a browser.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Show how an order's time went: each request, step, try and statement, from the spans that `orders up` keeps."""
    with client_of(url) as client:
        order, events = client.get(order_id), client.events(order_id)
    found = TracesClient(load(ClientSettings).traces_url).of(order, events)
    if html:
        from cli.waterfall_page import page  # noqa: PLC0415 - its templates are for those who want a page

        write(html, page(Waterfall.of(found, time.time_ns())))
    if as_json:
        print(json.dumps({"id": order["id"], "spans": [span for spans in found.spans.values() for span in spans]}))
    elif html:
        out.print(f"wrote {html}", soft_wrap=True)
    else:
        out.print(WaterfallView(Waterfall.of(found, time.time_ns())), soft_wrap=True)
