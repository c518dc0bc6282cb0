"""One execution environment of a Lambda function: a warm subprocess and what became of each invocation."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.runtime_api import Invocation, Report, RuntimeApi, Sign
from local.worker_main import PURE

# AWS allows 10 s; here a loaded laptop starts several interpreters at once, and slowness is no error of the code.
INIT_SECONDS = 30.0
_MAIN = Path(__file__).with_name("worker_main.py")
_FROM_HOST = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY")

LogSink = Callable[[list[str]], None]


@dataclass(frozen=True)
class FunctionSettings:
    """Everything that makes one version of a function what it is; workers of other settings are replaced."""

    name: str
    arn: str
    version: str
    handler: str
    role_arn: str
    code_directory: Path
    layer_directories: tuple[Path, ...]
    timeout_seconds: int
    memory_mb: int
    concurrency: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log_group(self) -> str:
        """Give the group that Lambda writes to."""
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to: the payload, whether it is an error's document, and what was logged."""

    request_id: str
    payload: bytes
    failed: bool
    log: tuple[str, ...] = ()

    @property
    def error_type(self) -> str | None:
        """Give the error's name as state machines compare it, or None for a success."""
        if not self.failed:
            return None
        document = json.loads(self.payload or b"{}")
        return str(document.get("errorType", "Unknown")) if isinstance(document, dict) else "Unknown"


class Worker:
    """A subprocess under the Lambda runtime client; serves one invocation at a time until it is killed."""

    def __init__(
        self,
        settings: FunctionSettings,
        has_keys_for: Callable[[float], bool],
        *,
        variables: Mapping[str, str],
        log: LogSink,
        pure: bool = False,
    ) -> None:
        self.settings = settings
        self._has_keys_for = has_keys_for
        self.log_stream = f"{time.strftime('%Y/%m/%d')}/[{settings.version}]{uuid.uuid4().hex}"
        self._log = log
        self._lines: list[str] = []
        self._drain_guard = threading.Lock()
        self._rest = b""
        self._api = RuntimeApi(settings.arn, settings.timeout_seconds)
        self._ready = False
        self._init_failure: Report | None = None
        self._kill_guard = threading.Lock()
        self._killed = False
        environment = self._own_variables(pure) | dict(variables)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-u", str(_MAIN), settings.handler],
            cwd=settings.code_directory,
            env=environment,
            stdin=subprocess.PIPE,  # never written to: its closing tells the worker that we are gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: Ctrl-C is ours, and killing takes its children too
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._pump = threading.Thread(target=self._pump_output, daemon=True, name=f"log-{settings.name}")
        self._pump.start()

    @property
    def alive(self) -> bool:
        """Give whether the process runs."""
        return self._process.poll() is None

    @property
    def has_keys(self) -> bool:
        """Give whether its role's keys outlast one more invocation; Lambda, too, retires what is older."""
        return self._has_keys_for(self.settings.timeout_seconds)

    @property
    def pid(self) -> int:
        """Give the process' id."""
        return self._process.pid

    def warm_up(self) -> bool:
        """Give whether the function's module was loaded; returns when it is, or failed to be."""
        return self._initialised() is None

    def invoke(self, payload: bytes) -> Outcome:
        """Give what the function made of the event, within its timeout."""
        request_id = str(uuid.uuid4())
        self._drain()
        self._lines.clear()
        failure = self._initialised()
        if failure is not None:
            return self._failed(request_id, failure)
        self._api.deliver(Invocation(request_id, payload, _trace_id()))
        try:
            report = self._api.reports.get(timeout=self.settings.timeout_seconds)
        except queue.Empty:
            return self._timed_out(request_id)
        self._drain()
        if report.sign is Sign.ANSWER:
            return Outcome(request_id, report.body, failed=False, log=tuple(self._lines))
        return self._failed(request_id, report)

    def kill(self) -> None:
        """End the process, its children and everything that served it; a second call changes nothing."""
        with self._kill_guard:
            if self._killed:
                return
            self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._pump.join(1.0)
        self._api.stop()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def _own_variables(self, pure: bool) -> dict[str, str]:
        settings = self.settings
        layers = [str(directory / "python") for directory in settings.layer_directories]
        return {
            **{name: os.environ[name] for name in _FROM_HOST if name in os.environ},
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join([str(settings.code_directory), *layers]),
            "LAMBDA_TASK_ROOT": str(settings.code_directory),
            "_HANDLER": settings.handler,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": settings.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": settings.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            # There is no X-Ray daemon here: tracing libraries must not wait for one.
            "POWERTOOLS_TRACE_DISABLED": "true",
            "AWS_XRAY_SDK_ENABLED": "false",
            **({PURE: "1"} if pure else {}),
        }

    def _initialised(self) -> Report | None:
        """Give None when the worker waits for events, else the report of why it does not."""
        if self._ready or self._init_failure is not None:
            return self._init_failure
        try:
            report = self._api.reports.get(timeout=INIT_SECONDS)
        except queue.Empty:
            message = f"Init phase timed out after {INIT_SECONDS:.0f} seconds"
            report = Report(Sign.INIT_ERROR, _document("Sandbox.Timedout", message))
        self._ready = report.sign is Sign.READY
        self._init_failure = None if self._ready else report
        return self._init_failure

    def _failed(self, request_id: str, report: Report) -> Outcome:
        self._drain()
        body = report.body
        if report.sign is Sign.EXIT:
            said = f"RequestId: {request_id} Error: {report.body.decode()}"
            self._keep([said, "Runtime.ExitError"])  # Lambda's own lines: a process that is killed writes none
            body = _document("Runtime.ExitError", said)
        return Outcome(request_id, body, failed=True, log=tuple(self._lines))

    def _timed_out(self, request_id: str) -> Outcome:
        after = f"Task timed out after {self.settings.timeout_seconds:.2f} seconds"
        self.kill()
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {request_id} {after}"
        self._keep([line])
        body = _document("Sandbox.Timedout", f"RequestId: {request_id} Error: {after}")
        return Outcome(request_id, body, failed=True, log=tuple(self._lines))

    def _pump_output(self) -> None:
        while True:
            select.select([self._output], [], [])
            if not self._drain():
                break
        if self._rest:
            self._keep([self._rest.decode(errors="replace")])
        self._api.reports.put(Report(Sign.EXIT, _how_it_ended(self._process.wait()).encode()))

    def _drain(self) -> bool:
        """Take what the worker has written so far; False at its end.

        A worker writes its lines before it posts its answer, so after the answer they are all in the pipe:
        draining it then gives exactly the lines of that invocation, without waiting.
        """
        with self._drain_guard:
            while not self._output_closed() and select.select([self._output], [], [], 0)[0]:
                chunk = os.read(self._output, 65536)
                if not chunk:
                    return False
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self._keep([line.decode(errors="replace") for line in lines])
        return True

    def _output_closed(self) -> bool:
        assert self._process.stdout is not None
        return self._process.stdout.closed

    def _keep(self, lines: list[str]) -> None:
        if lines:
            self._lines.extend(lines)
            self._log(lines)


def _document(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"Runtime exited with error: signal: {str(signal.strsignal(-code)).lower()}"
    if code:
        return f"Runtime exited with error: exit status {code}"
    return "Runtime exited without providing a reason"


def _trace_id() -> str:
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
