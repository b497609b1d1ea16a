"""What a stack is started with decides what its processes tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import StackError
from cli.stack import METRICS_PORT, Stack
from orders.settings import StackSettings, load


@pytest.mark.parametrize(
    ("extra", "exporter", "served"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, None, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_METRICS_EXPORTER": "none"}, "none", False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, None, False),
        ({"OTEL_METRICS_EXPORTER": "otlp,prometheus", "OTEL_TRACES_EXPORTER": "none"}, "otlp,prometheus", True),
        ({"OTEL_TRACES_EXPORTER": "none"}, "prometheus", True),
    ],
)
def test_what_is_asked_of_it_is_not_overruled(
    tmp_path: Path, extra: dict[str, str], exporter: str | None, served: bool
) -> None:
    stack = Stack(tmp_path, say=print, any_port=True, extra=extra)
    settings = load(StackSettings)
    stack._keep_spans(settings)
    stack._serve_metrics(settings)
    assert stack.traces_url is None
    assert stack.environment.get("OTEL_METRICS_EXPORTER") == exporter
    assert bool(stack.metrics_urls) is served
    assert METRICS_PORT not in stack.environment


async def test_its_own_temporal_is_not_asked_to_encrypt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    stack = Stack(tmp_path, say=print, any_port=True)
    with pytest.raises(StackError, match="does not encrypt: set TEMPORAL_ADDRESS"):
        await stack._start_temporal(load(StackSettings))
