"""The real handlers, in this process: each with its function's own environment, dying and timing out as Lambdas do."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from greenlet import GreenletExit
from moto.awslambda.models import lambda_backends
from pilotlight.domain.errors import PilotlightError
from pilotlight.runtime import Runtime, using
from pilotlight.services import checkpoint_reader
from pilotlight.settings import Settings

from local.authorization import Role
from local.identity import ACCOUNT_ID, REGION
from tests.faults import dead_letters
from tests.faults.agenda import Actor, Clock, Signal
from tests.faults.permissions import Knowledge
from tests.faults.product import loaded
from tests.faults.replacing import replace

EVENT_RETRIES_SECONDS = (60, 120)  # Source: AWS Lambda developer guide, asynchronous invocation
Given = TypeVar("Given")
Made = TypeVar("Made")
EXIT = "Runtime.ExitError"
TIMED_OUT = "Sandbox.Timedout"


class Crash(BaseException):
    """The process died: nothing in the application may catch it."""


@dataclass
class Invocation:
    """One call of a function. A dead one makes no call any more; a zombie goes on after its caller gave it up."""

    function: str
    event: Any
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    dead: bool = False
    zombie: bool = False
    failed: bool = False
    met_a_fault: bool = False
    delayed: bool = False  # a fault held it up
    knows: Knowledge = field(default_factory=Knowledge)
    wrote: bool = False  # it asked for a change
    calls: int = 0
    payload: bytes = b"null"
    ended: Signal = field(default_factory=Signal)

    # what a handler asks its context for
    @property
    def aws_request_id(self) -> str:
        return self.request_id

    @property
    def function_name(self) -> str:
        return self.function

    memory_limit_in_mb = 512
    invoked_function_arn = ""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000

    def fail(self, kind: str, message: str) -> None:
        """End it as Lambda tells of an error."""
        self.failed = True
        self.payload = json.dumps({"errorType": kind, "errorMessage": message}).encode()


class OneByOne:
    """A pool of threads that has none: all is done by who asks for it, in order."""

    def __init__(self, _threads: int) -> None:
        """Take the number that a pool takes."""

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        """Have nobody to wait for."""

    @staticmethod
    def map(work: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
        """Give what the work makes of each."""
        return map(work, given)


class WarmRuntime(Runtime):
    """A runtime whose clients outlive it: making them takes longer than all that a run does with them."""

    clients: dict[Any, Any] = {}

    def client(self, service: str, *config: Any) -> Any:
        key = (service, *config)
        if key not in self.clients:
            self.clients[key] = super().client(service, *config)
        return self.clients[key]


class Lambdas:
    """Every function of the stack."""

    def __init__(self, clock: Clock, stack_name: str, environment: dict[str, str]) -> None:
        self._clock = clock
        self._prefix = f"{stack_name}-"
        self._environment = environment
        self.variables: dict[str, str] = {}  # of this run's stack, where it is another one than all others
        self._handlers: dict[str, Callable[[Any, Any], Any]] = {}
        self._functions: dict[str, Any] = {}
        self._runtimes: dict[str, Runtime] = {}
        self.lost: list[tuple[str, Any]] = []  # events that no attempt handled
        self.unexpected: list[str] = []  # what handlers raised that is no error of ours
        self.unreached: set[str] = set()  # functions whose events never come

    def load(self) -> None:
        """Import every function's handler, under a module name of its own."""
        for function in lambda_backends[ACCOUNT_ID][REGION].list_functions():
            name = function.function_name.removeprefix(self._prefix).replace("-", "_")
            module, attribute = function.handler.split(".")
            self._functions[name] = function
            self._handlers[name] = getattr(loaded(function.code_directory / f"{module}.py"), attribute)

    def install(self) -> None:
        """Let what handlers do in threads be done one after the other: a call of a thread is nobody's."""
        replace(checkpoint_reader, "ThreadPoolExecutor", lambda _: OneByOne)

    def configure(self, **variables: str) -> None:
        """Let functions have other variables from now on, in fresh sandboxes."""
        self.variables = variables
        self._runtimes.clear()

    def reset(self, variables: dict[str, str]) -> None:
        """Begin with cold sandboxes, which have these variables beside those of the template."""
        self.configure(**variables)
        self.lost.clear()
        self.unexpected.clear()
        self.unreached.clear()

    @property
    def names(self) -> list[str]:
        """Give every function, as its folder is called."""
        return sorted(self._functions)

    @property
    def caller(self) -> Role | None:
        """Give the role that acts: that of the function whose invocation it is."""
        invocation = self.current
        return Role(self._functions[invocation.function].role, invocation.function) if invocation else None

    @property
    def current(self) -> Invocation | None:
        """Give the invocation that acts."""
        actor = self._clock.agenda.current
        return actor.purpose if actor and isinstance(actor.purpose, Invocation) else None

    def timeout_seconds(self, name: str) -> float:
        """Give how long a function may run."""
        return float(self._functions[name].timeout)

    def invoke(self, name: str, event: Any) -> Invocation:
        """Run a function to its end, or to its timeout."""
        invocation, actor = self.begin(name, event)
        if not self._clock.agenda.wait(invocation.ended, self.timeout_seconds(name)):
            given_up = Invocation(name, event, invocation.request_id)
            given_up.fail(TIMED_OUT, f"Task timed out after {self.timeout_seconds(name):.2f} seconds")
            if not invocation.zombie:
                invocation.dead = True
                self._clock.agenda.kill(actor)
            self._runtimes.pop(name, None)
            return given_up
        return invocation

    def begin(self, name: str, event: Any) -> tuple[Invocation, Actor]:
        """Begin to run a function, and wait for nothing."""
        invocation = Invocation(name, event)
        return invocation, self._clock.agenda.spawn(name, lambda: self._run(invocation), purpose=invocation)

    def send(self, name: str, event: Any) -> None:
        """Invoke a function asynchronously: again after a failure, twice; then the event is lost."""
        if name not in self.unreached:
            self._clock.agenda.spawn(f"event of {name}", lambda: self._see_through(name, event))

    def named(self, arn: str) -> str:
        """Give the folder of the function with that ARN."""
        return arn.rpartition(":")[2].removeprefix(self._prefix).replace("-", "_")

    def _see_through(self, name: str, event: Any) -> None:
        for pause in (*EVENT_RETRIES_SECONDS, None):
            if not self.invoke(name, event).failed:
                return
            if pause is None:
                self._lose(name, event)
                return
            self._clock.agenda.sleep(pause)

    def _lose(self, name: str, event: Any) -> None:
        """Let an event end where the function leaves what it could not handle."""
        self.lost.append((name, event))
        dead_letters.send(self._functions[name], name, event)

    def _run(self, invocation: Invocation) -> None:
        name = invocation.function
        event = json.loads(json.dumps(invocation.event))
        try:
            with using(self._runtime(name)), _environment(name):
                answer = self._handlers[name](event, invocation)
            invocation.payload = json.dumps(answer).encode()
        except Crash:
            invocation.dead = True
            self._runtimes.pop(name, None)
            invocation.fail(EXIT, f"RequestId: {invocation.request_id} Error: Runtime exited")
        except PilotlightError as exc:
            invocation.fail(type(exc).__name__, str(exc))
        except GreenletExit:
            invocation.dead = True
            raise
        except Exception as exc:  # noqa: BLE001 - as Lambda does with whatever a handler raises
            invocation.fail(type(exc).__name__, repr(exc))
            self.unexpected.append(f"{name} raised {exc!r}")
        self._clock.agenda.set(invocation.ended)

    def _runtime(self, name: str) -> Runtime:
        if name not in self._runtimes:
            variables = {key: str(value) for key, value in self._functions[name].environment_vars.items()}
            settings = Settings.from_environment({**variables, **self._environment, **self.variables})
            self._runtimes[name] = WarmRuntime(settings, self._clock)
        return self._runtimes[name]


@contextmanager
def _environment(name: str) -> Iterator[None]:
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = name
    yield
