"""Does to a system what a schedule says, and undoes it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from orders.ledger.engine import pg8000_url
from tests.faults.proxy import Proxy
from tests.faults.schedule import CLOCKS, TO_TEMPORAL, Fault, places
from tests.faults.system import POSTGRES, System
from tests.faults.traffic import Traffic

DELAY = 0.05
"""How long, in seconds, each piece of data waits on a slow connection."""
JUMPS = (3600, -1800, 300, -30)
"""How many seconds clocks are set ahead or back."""
CHECK_EVERY = 0.3
ANSWER_WITHIN = 15.0
"""How long, in seconds, a fault waits for a client that is answered 201."""
OTHERS = text(
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where backend_type = 'client backend' and application_name <> 'faults'"
)


@dataclass(frozen=True)
class Done:
    """A fault that has struck, from when to when."""

    fault: Fault
    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Missed:
    """A fault that could not be done, or not be undone, and why."""

    fault: Fault
    why: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.why}"


class NobodyThere(Exception):
    """There is nobody whom a fault could strike; the text says why."""


class Injector:
    """Carries a schedule out; what leaves by itself meanwhile is started again, as a cluster would."""

    def __init__(self, system: System, traffic: Traffic) -> None:
        self._system, self._traffic = system, traffic
        self._down: set[str] = set()
        self._suffering: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.done: list[Done] = []
        self.missed: list[Missed] = []
        self.left: list[str] = []
        """Which processes left without being told to, and with which code."""
        self._strike: Mapping[str, Callable[[Fault], AbstractAsyncContextManager[None]]] = {
            "kill a worker": self._killed,
            "kill an API process": self._killed,
            "kill the API process that has just answered 201": self._killed_after_answer,
            "pause a worker": self._paused,
            "pause a worker for longer than its tasks may take": self._paused,
            "pause an API process": self._paused,
            "stop PostgreSQL, fast": self._database_stopped,
            "stop PostgreSQL, immediate": self._database_stopped,
            "kill PostgreSQL": self._killed,
            "stop Temporal": self._stopped,
            "kill Temporal": self._killed,
            "cut a connection": self._disconnected,
            "stall a connection": self._disconnected,
            "slow a connection": self._disconnected,
            "lock the table of orders": self._locked,
            "take all connections of PostgreSQL": self._crowded,
            "set a clock ahead, or back": self._set_clock,
            "fill PostgreSQL's disk": self._filled,
        }

    @property
    def sorts(self) -> dict[str, list[str]]:
        """The victims of each sort that kinds of faults name."""
        system = self._system
        return {"workers": system.workers, "apis": system.apis, CLOCKS: [*system.workers, *system.apis, POSTGRES]}

    @property
    def impossible(self) -> dict[str, str]:
        """The kinds that this machine does not allow, and why."""
        found = {"set a clock ahead, or back": self._system.no_clocks}
        found["fill PostgreSQL's disk"] = self._system.postgres.no_disk
        return {kind: why for kind, why in found.items() if why}

    async def run(self, schedule: Sequence[Fault]) -> None:
        """Let each fault strike when it is due; returns when the last one is undone."""
        start = time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as striking:
                for fault in schedule:
                    await asyncio.sleep(max(0.0, start + fault.at - time.monotonic()))
                    striking.create_task(self._suffer(fault))
        finally:
            watching.cancel()

    async def _suffer(self, fault: Fault) -> None:
        # On a busy machine the last one may take longer to be undone than the schedule gives it.
        async with AsyncExitStack() as suffering:
            for place in places(fault.victim, self.sorts):
                await suffering.enter_async_context(self._suffering[place])
            began = datetime.now(UTC)
            try:
                async with self._strike[fault.kind](fault):
                    await asyncio.sleep(fault.lasts)
            except (SQLAlchemyError, OSError, TimeoutError, NobodyThere) as error:
                self.missed.append(Missed(fault, str(error)))
            else:
                self.done.append(Done(fault, began, datetime.now(UTC)))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            for name, process in self._system.processes.items():
                if name not in self._down and not process.is_running and process.popen:
                    self.left.append(f"{name} left with {process.popen.returncode}")
                    process.start()

    # The faults

    @asynccontextmanager
    async def _killed(self, fault: Fault) -> AsyncIterator[None]:
        self._down.add(fault.victim)
        await asyncio.to_thread(self._system.kill, fault.victim)
        yield
        await self._start(fault.victim)

    @asynccontextmanager
    async def _killed_after_answer(self, fault: Fault) -> AsyncIterator[None]:
        struck, names = asyncio.Event(), dict(zip(self._system.api_urls, self._system.apis, strict=True))
        victims: list[str] = []

        def kill(url: str) -> None:
            victims.append(names[url])
            self._down.add(names[url])
            self._system.kill(names[url])
            struck.set()

        self._traffic.on_placed.append(kill)
        with suppress(TimeoutError):
            await asyncio.wait_for(struck.wait(), ANSWER_WITHIN)
        if not victims:
            self._traffic.on_placed.remove(kill)
            raise NobodyThere(f"nobody was answered 201 within {ANSWER_WITHIN:g} s")
        yield
        for victim in victims:
            await self._start(victim)

    @asynccontextmanager
    async def _stopped(self, fault: Fault) -> AsyncIterator[None]:
        self._down.add(fault.victim)
        await asyncio.to_thread(self._system.terminate, fault.victim)
        yield
        await self._start(fault.victim)

    @asynccontextmanager
    async def _paused(self, fault: Fault) -> AsyncIterator[None]:
        if not self._system.processes[fault.victim].is_running:
            raise NobodyThere(f"{fault.victim} had left by itself")
        self._system.pause(fault.victim)
        yield
        self._system.resume(fault.victim)

    @asynccontextmanager
    async def _database_stopped(self, fault: Fault) -> AsyncIterator[None]:
        await asyncio.to_thread(self._system.postgres.stop, fault.kind.rpartition(" ")[2])
        yield
        await self._start(fault.victim)

    @asynccontextmanager
    async def _disconnected(self, fault: Fault) -> AsyncIterator[None]:
        proxy: Proxy = self._system.to_temporal if fault.victim == TO_TEMPORAL else self._system.to_postgres
        if fault.kind.startswith("cut"):
            proxy.cut()
        elif fault.kind.startswith("stall"):
            proxy.stall()
        else:
            proxy.slow(DELAY)
        yield
        proxy.heal()

    @asynccontextmanager
    async def _locked(self, fault: Fault) -> AsyncIterator[None]:
        with ExitStack() as held:
            await asyncio.to_thread(self._lock, held)
            yield

    def _lock(self, held: ExitStack) -> None:
        connection = held.enter_context(self._connection())
        connection.execute(text("begin"))
        connection.execute(text("lock table orders in access exclusive mode"))

    @asynccontextmanager
    async def _crowded(self, fault: Fault) -> AsyncIterator[None]:
        with ExitStack() as held:
            await asyncio.to_thread(self._crowd, held)
            yield

    def _crowd(self, held: ExitStack) -> None:
        first = held.enter_context(self._connection())
        while True:
            # Whoever is sent away comes again: in the end all are ours.
            first.execute(OTHERS)
            try:
                while True:
                    held.enter_context(self._connection())
            except (SQLAlchemyError, OSError):
                theirs = "select count(*) from pg_stat_activity where backend_type = 'client backend' and "
                if not first.execute(text(theirs + "application_name <> 'faults'")).scalar_one():
                    return

    @asynccontextmanager
    async def _set_clock(self, fault: Fault) -> AsyncIterator[None]:
        assert self._system.clocks
        self._system.clocks.set(fault.victim, random.Random(fault.at).choice(JUMPS))
        yield
        self._system.clocks.set(fault.victim, 0)

    @asynccontextmanager
    async def _filled(self, fault: Fault) -> AsyncIterator[None]:
        assert self._system.postgres.disk
        await asyncio.to_thread(self._system.postgres.disk.fill)
        yield
        self._system.postgres.disk.free()
        # Without room for its log it has left.
        await self._start(POSTGRES)

    async def _start(self, name: str) -> None:
        await asyncio.to_thread(self._system.start_one, name)
        self._down.discard(name)

    def _connection(self) -> Connection:
        url = pg8000_url(self._system.admin_database_url)
        options = {"timeout": 30, "application_name": "faults"}
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options)
        return engine.connect()
