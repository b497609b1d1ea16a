"""``/metrics`` of processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from tests.stack.conftest import ROOT


def test_a_port_for_metrics_that_is_taken_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {
            "OTEL_METRICS_EXPORTER": "prometheus",
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "OTEL_EXPORTER_PROMETHEUS_PORT": port,
        }
        done = subprocess.run(
            [sys.executable, "-m", "api"],
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith(f"OTEL_EXPORTER_PROMETHEUS_PORT: can't listen on 127.0.0.1:{port} (")
