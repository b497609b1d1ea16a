"""What a worker process waits for before it works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cli.embedded import free_port
from orders.errors import DependencyUnavailable
from workers.runner import run


async def test_temporal_has_to_be_there_still_when_the_database_has_come(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, stop = list[str](), asyncio.Event()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://localhost:{free_port()}/orders")

    def answer(name: str, *failures: int) -> Callable[..., object]:
        async def answering(*_: object, **__: object) -> str:
            asked.append(name)
            if asked.count(name) in failures:
                raise DependencyUnavailable(name, "away")
            return name

        return answering

    async def work_on(*_: object) -> None:
        asked.append("work")

    monkeypatch.setattr("workers.runner.connect", answer("connection"))
    monkeypatch.setattr("workers.runner.database_answers", answer("PostgreSQL", 1))
    monkeypatch.setattr("workers.runner.ping", answer("Temporal", 1))
    monkeypatch.setattr("workers.runner.work_on", work_on)
    await run(["payments"], stop)
    assert asked == ["connection", "PostgreSQL", "PostgreSQL", "Temporal", "PostgreSQL", "Temporal", "work"]
    waited_for = [line.partition(" waiting for ")[2].partition(",")[0] for line in caplog.text.splitlines()]
    assert [name for name in waited_for if name] == ["PostgreSQL", "Temporal"]
