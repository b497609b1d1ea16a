"""What has come of a run, as a piece of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.figures import machine
from tests.faults.run import Outcome
from tests.faults.schedule import KINDS


def report(outcome: Outcome, command: str, load: Sequence[float]) -> str:
    """Write all of it down; ``load`` is the machine's before."""
    plan, traffic = outcome.plan, outcome.traffic
    return "\n".join(
        [
            *machine(command, load),
            f"Seed {plan.seed}, {plan.orders} orders, {plan.rate:g} a second; {outcome.took / 60:.0f} minutes in all.",
            "",
            *_faults(outcome),
            *_table(
                "orders", {"sent": len(traffic.orders), "accepted (201)": len(traffic.accepted), **_states(outcome)}
            ),
            *_messages(outcome),
            *_verdict(outcome),
        ]
    )


def _faults(outcome: Outcome) -> Iterator[str]:
    struck = Counter(done.fault.kind for done in outcome.faults)
    missed = Counter(miss.fault.kind for miss in outcome.missed)
    rows = {
        kind.name: f"{struck[kind.name]}" + (f", missed {missed[kind.name]}" if missed[kind.name] else "")
        for kind in KINDS
        if kind.name not in outcome.impossible
    }
    rows |= {kind: str(count) for kind, count in outcome.partners.items()}
    rows |= {kind: f"left out: {why}" for kind, why in outcome.impossible.items()}
    yield from _table("fault", rows)
    if outcome.left:
        left = ", ".join(f"{what} ({count})" for what, count in sorted(Counter(outcome.left).items()))
        yield from (f"Processes that left by themselves, and were started again: {left}.", "")


def _states(outcome: Outcome) -> dict[str, int]:
    return {f"in the end {status}": count for status, count in sorted(outcome.states.items())}


def _messages(outcome: Outcome) -> list[str]:
    answers = outcome.traffic.answers
    lines = ["| request | sent | tries | accepted | refused | answers |", "|---|--:|--:|--:|--:|---|"]
    for kind in sorted({kind for kind, _ in answers}):
        statuses = {status: count for (of, status), count in answers.items() if of == kind}
        sent, tries = sum(statuses.values()), outcome.traffic.tries[kind]
        accepted = sum(count for status, count in statuses.items() if status in (200, 201))
        told = ", ".join(f"{status or 'none'}: {count}" for status, count in sorted(statuses.items(), key=str))
        lines.append(f"| {kind} | {sent} | {tries} | {accepted} | {sent - accepted} | {told} |")
    return [*lines, ""]


def _verdict(outcome: Outcome) -> list[str]:
    lines = [f"**Violations: {len(outcome.violations)}**", ""]
    return [*lines, *(f"- {line[:300]}" for line in outcome.violations[:20]), ""] if outcome.violations else lines


def _table(name: str, rows: Mapping[str, object]) -> list[str]:
    return [f"| {name} | |", "|---|--:|", *(f"| {what} | {value} |" for what, value in rows.items()), ""]
