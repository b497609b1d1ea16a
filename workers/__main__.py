"""``python -m workers QUEUE…`` works on these task queues until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

from orders.errors import InvalidSetting
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
            logging.getLogger(__name__).warning("told twice: leaving at once")
            os._exit(1)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, told)
    await run(queues, stop)
    _leave(0)


def _leave(code: int) -> NoReturn:
    # Not by way of the interpreter's end: Temporal's native threads may abort it there, or keep it from coming. By now
    # there is nothing left to do.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
