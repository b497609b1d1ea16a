"""``python -m tests.replay`` (``make histories``) lives all lives on a real server, and keeps their histories.

They are those of the release that the code is going to be; those of earlier releases stay. With ``--fingerprints`` it
runs nothing, and writes down anew which commands today's code gives when it is led through the histories.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from cli.embedded import free_port, temporal_command
from orders.contracts import order_of_workflow
from tests.replay import fingerprints, histories
from tests.replay.commands import replay
from tests.replay.lives import LIVES
from tests.replay.lives.life import Life
from tests.replay.workflows import WORK_OF, WORKFLOWS
from tests.workflows.conftest import opened

PATIENCE = 30.0
"""How long, in seconds, a life may take to come to its end after all was said."""


async def lived(environment: WorkflowEnvironment, name: str, life: Life) -> list[WorkflowHistory]:
    """Lead one life, and fetch the histories of its workflows."""
    async with opened(environment) as shop:
        # The same at each run, so that two runs can be compared.
        shop.order_id = f"ord_{hashlib.sha256(name.encode()).hexdigest()[:24]}"
        await life(shop)
        async with asyncio.timeout(PATIENCE):
            while not (found := await _of_order(environment.client, shop.order_id)):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        return [await environment.client.get_workflow_handle(each).fetch_history() for each in found]


async def _of_order(client: Client, order_id: str) -> list[str]:
    """Name the workflows of an order; none as long as one of them runs."""
    all_of_them = [each async for each in client.list_workflows() if order_of_workflow(each.id) == order_id]
    is_over = all(each.status is not WorkflowExecutionStatus.RUNNING for each in all_of_them)
    return sorted(each.id for each in all_of_them) if is_over else []


async def live_all(address: str, release: str, only: list[str]) -> None:
    """Keep the histories of all lives, or of those that are named."""
    environment = WorkflowEnvironment.from_client(await _connected(address))
    for name, life in LIVES.items():
        if not only or name in only:
            histories.write(release, name, await lived(environment, name, life))
            print(name)


@contextmanager
def temporal() -> Iterator[str]:
    """Run a server, and say where."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(temporal_command(port=port), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


async def _connected(address: str) -> Client:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await Client.connect(address, data_converter=pydantic_data_converter, identity=histories.NOBODY)
            except RuntimeError:
                await asyncio.sleep(0.1)


async def write_fingerprints() -> None:
    """Write down which commands today's code gives."""
    fingerprints.WORKERS.write_text(fingerprints.of_workers(WORK_OF))
    for release in histories.releases():
        replayed = await replay(histories.of(release), WORKFLOWS)
        for each in replayed:
            if each.failure:
                sys.exit(f"{release} {each.saved.name}: {each.failure}")
        fingerprints.path_of(release).write_text(fingerprints.written(replayed))


def _is_released(release: str) -> bool:
    tag = ["git", "-C", str(histories.ROOT), "tag", "--list", f"v{release}"]
    return bool(subprocess.run(tag, capture_output=True, check=False).stdout)


def main() -> None:
    """Parse the arguments and do it."""
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description="Keeps the histories of all lives.")
    parser.add_argument("lives", nargs="*", metavar="LIFE", help="only these")
    parser.add_argument("--fingerprints", action="store_true", help="run nothing: write the commands down anew")
    asked = parser.parse_args()
    if unknown := set(asked.lives) - LIVES.keys():
        sys.exit(f"{min(unknown)}: no life has this name: see tests/replay/lives")
    if not asked.fingerprints:
        release = histories.this_release()
        if _is_released(release):
            sys.exit(f"{release} is released, and its histories stay as they are: raise `version` in pyproject.toml")
        with temporal() as address:
            asyncio.run(live_all(address, release, asked.lives))
    asyncio.run(write_fingerprints())


if __name__ == "__main__":
    main()
