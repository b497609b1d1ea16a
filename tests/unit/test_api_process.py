"""The process of the API says in one line why it can't begin, and ends as its page has it."""

from __future__ import annotations

import socket

import pytest

from api import process

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def _logs_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the process of the tests their logs stay as they are.
    monkeypatch.setattr(process, "set_up_logging", lambda _: None)


@pytest.mark.parametrize(
    "url", ["mysql://127.0.0.1/orders", f"{NOBODY}?foo=1"], ids=["another database", "an unknown parameter"]
)
def test_a_setting_that_only_the_application_finds_wrong_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("API_PORT", "0")
    assert process.main() == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().err.splitlines()] == ["DATABASE_URL"]
    assert "Traceback" not in caplog.text


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DATABASE_URL", NOBODY)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("API_PORT", str(port))
        assert process.main() == 2
    assert f"API_PORT: 127.0.0.1:{port} can't be listened on" in capsys.readouterr().err
