"""An order's spans as the rows of a waterfall, in the order of time.

What Temporal's interceptor tells in pieces of no length is put together again: a workflow from its begin and its end,
an activity from its start by the workflow and its attempts. Workflow time stands still while a workflow computes: what
an activity waited counts from the begin of the task in which it was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from cli.timescale import Timescale, duration
from cli.traces import OrderTraces, Span
from orders.contracts import KEY_REUSED, REFUSED, STALE, TASKS
from orders.model import FINAL

STARTS = ("StartChildWorkflow", "StartWorkflow", "SignalWithStartWorkflow", "StartUpdateWithStartWorkflow")
_STATEMENT = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM)\s+([\w.]+)|\b(SELECT)\s+([\w.]+)\.\w+")


class Part(NamedTuple):
    """A piece of a row's bar; a ``life`` is that of a workflow, which mostly waits."""

    start: int
    end: int
    kind: Literal["waiting", "work", "failed", "life"]


@dataclass(frozen=True)
class Row:
    """A line of the waterfall: what happened, where, when, and what happened in it."""

    name: str
    where: str
    parts: tuple[Part, ...]
    spans: tuple[Span, ...]
    rows: tuple[Row, ...] = ()
    note: str = ""
    waited: str = ""
    error: str = ""

    @property
    def start(self) -> int:
        """When it was asked for, in Unix nanoseconds."""
        return self.parts[0].start

    @property
    def end(self) -> int:
        """When it ended, or was heard of last."""
        return max(part.end for part in self.parts)

    @property
    def waiting(self) -> int:
        """How long, in nanoseconds, it waited at first."""
        return self.parts[0].end - self.start if self.parts[0].kind == "waiting" else 0

    def all(self) -> Iterator[Row]:
        """Yield it and everything in it."""
        yield self
        for row in self.rows:
            yield from row.all()


@dataclass(frozen=True)
class Block:
    """A trace: the order's own, or that of a message which came later, with what it has to do with the order."""

    trace_id: str
    about: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Waterfall:
    """Everything that is known of how an order's time went."""

    order_id: str
    status: str
    blocks: tuple[Block, ...]
    scale: Timescale

    @classmethod
    def of(cls, traces: OrderTraces, now: int = 0) -> Waterfall:
        """Draw it up; what has not ended of an order that is open goes on until ``now``, in Unix nanoseconds."""
        until = 0 if traces.order["status"] in FINAL else now
        own, *others = [Block(trace_id, "", _rows(spans, until)) for trace_id, spans in traces.spans.items()]
        blocks = (own, *(replace(block, about=_link(block, own, traces)) for block in others))
        rows = [row for block in blocks for top in block.rows for row in top.all()]
        work = [(part.start, part.end) for row in rows for part in row.parts if part.kind in ("work", "failed")]
        scale = Timescale.over(min(row.start for row in rows), max(row.end for row in rows), work)
        return cls(traces.order["id"], traces.order["status"], blocks, scale)

    @property
    def took(self) -> str:
        """How long it was, and whether that was all."""
        has_end = not any(row.note == GOES_ON for block in self.blocks for top in block.rows for row in top.all())
        return duration(self.scale.end - self.scale.start) + ("" if has_end else " so far")


GOES_ON = "no end yet"
"""What is said of a workflow of whose end there is no span."""


def _link(block: Block, own: Block, traces: OrderTraces) -> str:
    here = {link["trace_id"] for span in traces.spans[block.trace_id] for link in span["links"]}
    there = [
        row.name
        for top in own.rows
        for row in top.all()
        if block.trace_id in {link["trace_id"] for span in row.spans for link in span["links"]}
    ]
    if there:
        return f"linked {'with' if own.trace_id in here else 'from'} {', '.join(dict.fromkeys(there))}"
    if own.trace_id in here:
        return "links to the order's trace"
    named = [f"{event['seq']} {event['type']}" for event in traces.events if event["trace_id"] == block.trace_id]
    return f"named by event {', '.join(named)}" if named else ""


def _rows(spans: Iterable[Span], until: int) -> tuple[Row, ...]:
    """Make a tree; what has a parent that is not here stands at the top."""
    return _Tree(list(spans), until).top()


class _Tree:
    def __init__(self, spans: list[Span], until: int) -> None:
        self._until = until
        self._spans = {span["span_id"]: span for span in spans}
        self._within: dict[str | None, list[Span]] = {}
        for span in sorted(spans, key=lambda span: (span["start"], span["end"])):
            self._within.setdefault(span["parent_id"], []).append(span)

    def top(self) -> tuple[Row, ...]:
        found = [row for parent in self._within if parent not in self._spans for row in self._of(parent)]
        return _in_time(found)

    def _of(self, parent_id: str | None) -> tuple[Row, ...]:
        spans = self._within.get(parent_id, [])
        begins = [span for span in spans if _is(span, "RunWorkflow")]
        if begins and parent_id:
            return (self._workflow(begins[0], self._spans.get(parent_id), spans),)
        return self._each(spans)

    def _each(self, spans: list[Span]) -> tuple[Row, ...]:
        refusals = [span for span in spans if _is_refusal(span)]
        # An update is told of twice, as asked and as taken, and its refusal as if the workflow had ended by it.
        taken = {_subject(span) for span in spans if _is(span, "HandleUpdate")}
        told = [
            span
            for span in spans
            if span not in refusals and not (_is(span, "ValidateUpdate") and _subject(span) in taken)
        ]
        rows = list(_in_time(self._row(span) for span in told))
        for refusal in refusals:
            asked = [
                n
                for n, row in enumerate(rows)
                if row.spans[0]["start"] <= refusal["start"] and _is_update(row.spans[0])
            ]
            if asked:
                row = rows[asked[-1]]
                rows[asked[-1]] = replace(row, error=_error(refusal), spans=(*row.spans, refusal))
            else:
                rows.append(self._row(refusal))
        return tuple(rows)

    def _row(self, span: Span) -> Row:
        if _is(span, "StartActivity"):
            return self._activity(span)
        if _is(span, "RunActivity"):
            return self._attempt(span, _subject(span))
        within = self._of(span["span_id"])
        if _is(span, "StartChildWorkflow"):
            if len(within) == 1 and _is(within[0].spans[0], "RunWorkflow"):
                return replace(within[0], spans=(span, *within[0].spans))
            return Row(_subject(span), span["service"], (_whole(span),), (span,), within, note="not begun yet")
        code = span["attributes"].get("http.response.status_code") if span["kind"] == "server" else None
        note = f"→ {code}" if code else ""
        return Row(_name(span), self._service(span), (_whole(span),), (span,), within, note=note, error=_error(span))

    def _service(self, span: Span) -> str:
        """Name the process, where it is not that of what this is part of."""
        parent = self._spans.get(span["parent_id"] or "")
        return "" if parent and parent["service"] == span["service"] else span["service"]

    def _workflow(self, begin: Span, asked: Span | None, spans: list[Span]) -> Row:
        ends = [span for span in spans if _is(span, "CompleteWorkflow") and not _is_refusal(span)]
        within = self._each([span for span in spans if not _is(span, "RunWorkflow") and span not in ends])
        end = max(row.end for row in (*within, Row("", "", (_whole(begin), *map(_whole, ends)), ())))
        end = end if ends else max(end, self._until)
        life = Part(begin["start"], end, "life")
        wait = begin["start"] - asked["start"] if asked and _is(asked, *STARTS) else 0
        return Row(
            _subject(begin),
            begin["service"],
            (Part(begin["start"] - wait, begin["start"], "waiting"), life) if wait > 0 else (life,),
            (begin, *ends),
            within,
            note="" if ends else GOES_ON,
            waited=f"waited {duration(wait)} for a worker" if wait > 0 else "",
            error=_error(ends[-1]) if ends else "",
        )

    def _activity(self, asked: Span) -> Row:
        tries = [span for span in self._within.get(asked["span_id"], []) if _is(span, "RunActivity")]
        if not tries:
            return Row(_subject(asked), asked["service"], (_whole(asked),), (asked,), note="not begun yet")
        numbers = [int(span["attributes"].get("attempt", n)) for n, span in enumerate(tries, 1)]
        attempts = [self._attempt(span, f"attempt {number}") for number, span in zip(numbers, tries, strict=True)]
        # A span comes at the end of a try: one whose worker was lost in the middle of it has none.
        lost = sorted(set(range(1, numbers[-1])) - set(numbers))
        parts: list[Part] = []
        until = asked["start"]
        for number, attempt in zip(numbers, attempts, strict=True):
            if attempt.start > until:
                parts.append(Part(until, attempt.start, "failed" if number - 1 in lost else "waiting"))
            parts += attempt.parts
            until = attempt.end
        last, wait, where = attempts[-1], attempts[0].start - asked["start"], attempts[0].where
        # A local activity runs within a task of its workflow, and never waits in a queue.
        is_queued = "activity" in TASKS.get(where, ("activity",))
        again = numbers[-1] > 1
        said = f"; no span of attempt {', '.join(map(str, lost))}: its worker was lost" if lost else ""
        return Row(
            _subject(asked),
            where,
            tuple(parts),
            (asked,) if again else (asked, *last.spans),
            tuple(attempts) if again else last.rows,
            note=f"{numbers[-1]} attempts{said}" if again else last.note,
            waited=f"waited {duration(wait)} {f'on queue {where}' if is_queued else 'for its turn'}"
            if wait > 0 and 1 not in lost
            else "",
            error="" if again else last.error,
        )

    def _attempt(self, span: Span, name: str) -> Row:
        where = str(span["attributes"].get("task.queue", span["service"]))
        return Row(name, where, (_whole(span),), (span,), self._of(span["span_id"]), error=_error(span))


def _in_time(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row.start, row.end)))


def _is(span: Span, *kinds: str) -> bool:
    return span["name"].partition(":")[0] in kinds


def _is_update(span: Span) -> bool:
    return _is(span, "HandleUpdate", "ValidateUpdate")


def _is_refusal(span: Span) -> bool:
    return _is(span, "CompleteWorkflow") and _error(span).partition(":")[0] in (REFUSED, STALE, KEY_REUSED)


def _subject(span: Span) -> str:
    return span["name"].partition(":")[2]


def _whole(span: Span) -> Part:
    return Part(span["start"], max(span["start"], span["end"]), "failed" if span["status"] == "error" else "work")


def _name(span: Span) -> str:
    if _is_update(span):
        return f"update {_subject(span)}"
    if _is(span, "HandleSignal"):
        return f"signal {_subject(span)}"
    statement = str(span["attributes"].get("db.query.text", ""))
    if found := _STATEMENT.search(statement):
        return " ".join(part for part in found.groups() if part)
    return span["name"].replace(":", " ") if span["name"].startswith(("Start", "Signal", "Complete")) else span["name"]


def _error(span: Span) -> str:
    """Say in one line how a span failed."""
    raised = [event["attributes"] for event in span["events"] if event["name"] == "exception"]
    said = span["message"] or next((str(each.get("exception.message", "")) for each in raised), "")
    if span["status"] != "error" and not (raised and _is(span, "CompleteWorkflow")):
        return ""
    return next(iter(said.splitlines()), "") or str(span["attributes"].get("error.type", "failed"))
