"""A waterfall as one page for a browser, which needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from mako.template import Template

from cli.timescale import duration
from cli.waterfall import Row, Waterfall

_TICKS = (0, 0.25, 0.5, 0.75, 1)
_FILE = str(Path(__file__).with_suffix(".mako"))
# Everything is escaped: what spans hold is data.
_PAGE = Template(filename=_FILE, default_filters=["h"], strict_undefined=True)  # noqa: S702 - it is


def page(waterfall: Waterfall) -> str:
    """Give the text of the page, in UTF-8."""
    scale = waterfall.scale
    given: dict[str, Any] = {
        "waterfall": waterfall,
        "ticks": [(_percent(place), duration(scale.moment(place) - scale.start)) for place in _TICKS],
        "cuts": [
            (_percent(scale.at(begins)), _percent(scale.at(ends) - scale.at(begins)), duration(ends - begins))
            for begins, ends in scale.cuts
        ],
        "bars": lambda row: _bars(row, waterfall),
        "duration": duration,
        "took": _took,
        "told": lambda row: _told(row, waterfall),
        "facts": _facts,
        "number": count().__next__,
    }
    return str(_PAGE.render(**given))


def _bars(row: Row, waterfall: Waterfall) -> Iterator[tuple[str, str, str]]:
    for part in row.parts:
        begins, ends = waterfall.scale.at(part.start), waterfall.scale.at(part.end)
        yield part.kind, _percent(begins), _percent(ends - begins)


def _told(row: Row, waterfall: Waterfall) -> str:
    after = f"after {duration(row.start - waterfall.scale.start)}"
    return ", ".join(part for part in (after, row.waited, f"took {_took(row)}") if part)


def _took(row: Row) -> str:
    return duration(row.end - row.start - row.waiting)


def _facts(row: Row) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what is known of each of its spans, under its name."""
    for span in row.spans:
        about = [("span", span["span_id"]), ("kind", span["kind"]), ("service", span["service"])]
        about += [("status", f"{span['status']} {span['message']}")] if span["status"] != "unset" else []
        about += [(name, _written(value)) for name, value in sorted(span["attributes"].items())]
        for event in span["events"]:
            after = duration(event["at"] - span["start"])
            about += [(f"{event['name']} after {after}", "")]
            about += [(name, _written(value)) for name, value in sorted(event["attributes"].items())]
        about += [("linked with", f"trace {link['trace_id']} span {link['span_id']}") for link in span["links"]]
        yield span["name"], about


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _percent(part: float) -> str:
    return f"{part * 100:.3f}%"
