"""The process of workers, from its arguments to its exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from orders.errors import InvalidSetting
from orders.leaving import leave, leave_at_once
from orders.logs import set_up_logging
from workers.queues import QUEUES
from workers.runner import run, service_of


def main() -> int:
    """Parse the arguments, work, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers", description="Works on task queues until SIGTERM.")
    parser.add_argument("queues", nargs="+", choices=sorted(QUEUES), metavar="QUEUE", help=", ".join(sorted(QUEUES)))
    queues = list(dict.fromkeys(parser.parse_args().queues))
    try:
        set_up_logging(service_of(queues))
        asyncio.run(_until_told_to_stop(queues))
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 2
    except Exception:
        logging.getLogger(__name__).exception("leaving: a worker can't go on")
        return 1
    return 0


async def _until_told_to_stop(queues: list[str]) -> None:
    stop = asyncio.Event()

    def told() -> None:
        if stop.is_set():
            leave_at_once()
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told)
    await run(queues, stop)
    # Not even by way of the event loop's end, which waits for threads.
    leave(0)
