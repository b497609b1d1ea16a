"""What today's workflows decide when they are led through histories: the commands that they give, in order.

A replay compares kinds and names of commands, and their order. It does not see how long an activity may take, how it
is tried again, on which queue, nor what it is told: that is why the commands are kept as well, and compared.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import _Definition

from tests.replay.histories import Saved
from tests.workflows.conftest import SANDBOX

BUSY, TRIES = "TMPRL1101", 5
"""How Temporal's library says that a workflow has taken more than 2 s, as may be where many processes want the CPU
(Temporal, "Rules": deadlock detection), and how often such a one is led through its history."""
ADDRESSEES = ("activity_type", "workflow_type", "signal_name")
UNSAID = ("seq", "headers", "namespace", "stack_trace", "protocol_instance_id", *ADDRESSEES)
"""What differs from run to run, or stands in the line anyway."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")
ORDER = re.compile(r"ord_[0-9a-f]{24}")
OF_MONEY = ("amount", "key")
"""What is shown of an event, besides its type."""
LONGEST = 480
"""How many characters of what is told are shown; longer things only have their shape kept."""


class Recorder(WorkflowRunner):
    """Runs workflows as another one does, and keeps the commands that they give, by their ids."""

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner
        self.commands: dict[str, list[WorkflowCommand]] = defaultdict(list)

    def prepare_workflow(self, defn: _Definition) -> None:
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = self._runner.create_instance(det)
        activate, heard = instance.activate, self.commands[det.info.workflow_id]

        def recorded(act: WorkflowActivation) -> WorkflowActivationCompletion:
            completion = activate(act)
            heard.extend(completion.successful.commands)
            return completion

        instance.activate = recorded  # type: ignore[method-assign]
        return instance


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: the commands, and why it failed if it did."""

    saved: Saved
    commands: Sequence[WorkflowCommand]
    failure: Exception | None


async def replay(
    histories: Iterable[Saved],
    workflows: Sequence[type],
    interceptors: Sequence[Interceptor] = (),
    runner: WorkflowRunner = SANDBOX,
) -> list[Replayed]:
    """Lead workflows through histories of one release."""
    found: dict[str, Replayed] = {}
    left = list(histories)
    for _ in range(TRIES):
        found |= {each.saved.name: each for each in await _replay_once(left, workflows, interceptors, runner)}
        left = [each.saved for each in found.values() if BUSY in str(each.failure)]
        if not left:
            break
    return list(found.values())


async def _replay_once(
    histories: list[Saved], workflows: Sequence[type], interceptors: Sequence[Interceptor], runner: WorkflowRunner
) -> list[Replayed]:
    recorder = Recorder(runner)
    replayer = Replayer(
        workflows=workflows,
        workflow_runner=recorder,
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
    )

    async def in_turn() -> AsyncIterator[WorkflowHistory]:
        for each in histories:
            yield each.history

    async with replayer.workflow_replay_iterator(in_turn()) as results:
        failures = [result.replay_failure async for result in results]
    return [
        Replayed(each, recorder.commands[each.workflow_id], failure)
        for each, failure in zip(histories, failures, strict=True)
    ]


def described(command: WorkflowCommand) -> str:
    """Say in one line what a command asks for."""
    kind, said = _said(command)
    rest = [f"{name.rpartition('.')[2]}={value}" for name, value in _leaves(said) if not isinstance(value, Told)]
    told = [_shown(value.what) for _, value in _leaves(said) if isinstance(value, Told)]
    return ORDER.sub("ORDER", " ".join([kind, *_addressee(said), *rest, *told]))


def shapes(command: WorkflowCommand) -> Iterator[str]:
    """Say what stands where in what a command tells somebody, and of which type it is."""
    kind, said = _said(command)
    about = ".".join(_addressee(said)) or kind
    for _, value in _leaves(said):
        if isinstance(value, Told):
            yield from (f"{about}{path}: {type(leaf).__name__}" for path, leaf in _paths(value.what))


@dataclass(frozen=True)
class Told:
    """Something that a command carries."""

    what: Any


def _said(command: WorkflowCommand) -> tuple[str, dict[str, Any]]:
    kind = str(command.WhichOneof("variant"))
    return kind, MessageToDict(getattr(command, kind), preserving_proto_field_name=True)


def _addressee(said: dict[str, Any]) -> list[str]:
    names = (said.get(kind) for kind in ADDRESSEES)
    return [name for name in names if name]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and "metadata" in value:
        yield name, Told(json.loads(b64decode(value["data"])) if "data" in value else None)
    elif isinstance(value, dict) and value:
        for key, each in value.items():
            if key not in UNSAID:
                yield from _leaves(each, key if isinstance(each, list) else f"{name}.{key}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from _leaves(each, name)
    else:
        yield name, value


def _shown(told: Any) -> str:
    if isinstance(told, dict) and "events" in told:
        return f"[{' '.join(map(_event, told['events']))}] {told['order']['status']}"
    if isinstance(told, dict) and "steps" in told:
        told = {**told, **{kind: [step["status"] for step in told[kind]] for kind in ("steps", "idle")}}
    text = MOMENT.sub("…", json.dumps(told, sort_keys=True, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{len(told)} fields"


def _event(event: dict[str, Any]) -> str:
    kept = ",".join(f"{name}={event['data'][name]}" for name in OF_MONEY if name in event["data"])
    return f"{event['type']}({kept})" if kept else str(event["type"])


def _paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _paths(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{path}[]")
    else:
        yield path, value
