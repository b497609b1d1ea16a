"""An execution environment of AWS Lambda: a process of AWS's own runtime, awslambdaric, to be frozen and thawed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import TimeoutError as Late
from pathlib import Path
from typing import Any

from tests.function.runtime_api import TIMEOUT, Failed, Invocation, RuntimeApi

ROOT = Path(__file__).parent.parent.parent
HANDLER = "api.lambda_handler.handler"
PATIENCE = 30.0
"""How long, in seconds, anything of an environment may take."""
_INHERITED = ("PATH", "PYTHONPATH", "LANG", "COVERAGE_PROCESS_START")


class Environment:
    """One process of the function, started when it is first needed.

    One whose start has failed is started anew by the next event, as AWS has it ("Understanding the Lambda execution
    environment lifecycle"): its failure is told to who sent that event if it fails again.
    """

    def __init__(self, folder: Path, handler: str = HANDLER, **settings: str) -> None:
        self.api = RuntimeApi()
        self.log = folder / f"environment-{self.api.address.partition(':')[2]}.log"
        self.settings = settings
        self._command = [sys.executable, "-m", "awslambdaric", handler]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start the process, and wait until it asks for events.

        Raises:
            Failed: it has told that it can't.
        """
        self.api.is_idle.clear()
        failures = len(self.api.failed_inits)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._variables(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        end = time.monotonic() + PATIENCE
        while not self.api.is_idle.wait(0.01):
            if self._process.poll() is not None:
                told = self.api.failed_inits[failures:]
                raise Failed(told[0] if told else {"errorType": "Runtime.ExitError", "errorMessage": self.said})
            assert time.monotonic() < end, self.said

    def invoke(self, event: Any, deadline: float = TIMEOUT, trace_id: str | None = None) -> Any:
        """Have the function answer an event, within so many seconds and no more.

        Raises:
            Failed: it has told that it failed, or has not answered in time (``Sandbox.Timedout``).
        """
        invocation = self.begin(event, deadline, trace_id)
        return self.end(invocation)

    def begin(self, event: Any, deadline: float = TIMEOUT, trace_id: str | None = None) -> Invocation:
        """Give the function an event, without waiting for its answer."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        return self.api.begin(event, deadline, trace_id)

    def end(self, invocation: Invocation) -> Any:
        """Wait for the answer to an event."""
        try:
            answer = invocation.answer.result(max(0, invocation.deadline - time.time()))
        except Late as error:
            self.stop(signal.SIGKILL)
            raise Failed({"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out"}) from error
        assert self.api.is_idle.wait(PATIENCE), "it asks for no other event"
        return answer

    def freeze(self) -> None:
        """Stop its time, as Lambda does between invocations."""
        assert self.api.is_idle.wait(PATIENCE), "it is at work"
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End the process; twice is once."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(by)
            self.thaw()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """End the process and what it talks to."""
        self.stop(signal.SIGKILL)
        self.api.stop()

    @property
    def said(self) -> str:
        """What stands in its log, in which the runtime writes the lines of an error with a carriage return between."""
        return self.log.read_bytes().decode()

    def _variables(self) -> Mapping[str, str]:
        """What AWS has set for a function ("Using Lambda environment variables"), and the function's own."""
        name = "orders-api"
        return {
            **{variable: os.environ[variable] for variable in _INHERITED if variable in os.environ},
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "7",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[7]0123456789abcdef0123456789abcdef",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "a key of nobody",
            "AWS_SECRET_ACCESS_KEY": "a secret of nobody",
            "AWS_SESSION_TOKEN": "a token of nobody",
            "AWS_XRAY_DAEMON_ADDRESS": "169.254.79.129:2000",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "LAMBDA_TASK_ROOT": str(ROOT),
            "LAMBDA_RUNTIME_DIR": str(ROOT),
            "TZ": ":UTC",
            "_HANDLER": self._command[-1],
            **self.settings,
        }
