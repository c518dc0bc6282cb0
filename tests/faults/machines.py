"""Moto's interpreter of state machines as an actor among others: no thread of its own, no wait of the wall's."""

from __future__ import annotations

import copy
import math
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import (
    InlineIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import JobPool
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from local import step_functions
from tests.faults.agenda import Agenda, Signal
from tests.faults.replacing import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.agenda import Clock

LONGEST_WAIT_SECONDS = 7 * 86_400.0  # no execution of ours lasts longer


@dataclass
class Machine:
    """A state machine at work, in an execution or in an item of a Map: somebody who calls, and never crashes."""

    name: str
    functions: tuple[str, ...]  # which it calls
    deadline: float = math.inf  # when the task that it is at has no time left
    met_a_fault: bool = False
    dead = False

    @classmethod
    def of(cls, worker: ExecutionWorker) -> Machine:
        """Give the machine whose execution that is, by its name in the template."""
        about = worker._evaluation_details.state_machine_details
        return cls(f"machine:{about.name.partition('-')[2]}", _functions(about.definition))


@lru_cache
def _functions(definition: str) -> tuple[str, ...]:
    named = re.findall(r":function:[a-z0-9]+-([\w-]+)", definition)
    return tuple(sorted({name.replace("-", "_") for name in named}))


def machine_at_work(agenda: Agenda) -> Machine:
    """Give the machine whose turn it is."""
    actor = agenda.current
    assert actor is not None
    assert isinstance(actor.purpose, Machine), actor.name
    return actor.purpose


def install(clock: Clock, client: Callable[[str, str], Any]) -> None:
    """Take over the interpreter: its waits are the agenda's, its calls go to these clients: of a service and a role."""
    step_functions.install(clock)  # type: ignore[arg-type]
    agenda = clock.agenda
    replace(ExecutionWorker, "start", lambda _: lambda worker: _begin(worker, clock))
    replace(Program, "eval", lambda _: lambda program, env: _run(program, env, clock))
    replace(ExecutionState, "_evaluate_with_timeout", lambda _: _evaluating(clock))
    replace(JobPool, "__init__", lambda original: _with_a_bell(original, agenda))
    replace(WaitFunction, "_wait_interval", lambda _: _waiting(clock))
    _let_tokens_be_awaited(agenda)
    for component in (InlineIterationComponent, DistributedIterationComponent):
        replace(component, "_launch_worker", lambda _: _launching(agenda))
    replace(retrier_decl, "time", lambda _: SimpleNamespace(sleep=agenda.sleep))
    for module in list(sys.modules.values()):
        if module.__name__.startswith("moto.stepfunctions.parser") and hasattr(module, "boto_client_for"):
            replace(module, "boto_client_for", lambda _: _calling(client))


def _waiting(clock: Clock) -> Callable[..., None]:
    def _wait_interval(_wait: WaitFunction, env: Any, wait_seconds: float) -> None:
        clock.agenda.sleep(wait_seconds)

    return _wait_interval


def _calling(client: Callable[[str, str], Any]) -> Callable[..., Any]:
    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        return client(service, state_credentials.role_arn)

    return boto_client_for


def _begin(worker: ExecutionWorker, clock: Clock) -> None:
    """Let an execution be an actor, from its start on."""
    clock.agenda.spawn("execution", worker._execution_logic, purpose=Machine.of(worker))


def _run(program: Program, env: Any, clock: Clock) -> None:
    """Run a program; past its TimeoutSeconds it is timed out, at the next moment at which it waits."""
    env.next_state_name = program.start_at.start_at_name
    if program.timeout_seconds is not None:
        seconds = program.timeout_seconds.timeout_seconds
        clock.agenda.spawn("timeout", lambda: env.is_running() and env.set_timed_out(), after=seconds, idle=True)
    EvalComponent.eval(program, env)


def _evaluating(clock: Clock) -> Callable[..., None]:
    """Evaluate a state once. Its TimeoutSeconds are for whoever waits for its Lambda: nothing else takes time."""

    def _evaluate_with_timeout(state: ExecutionState, env: Any) -> None:
        state.timeout.eval(env=env)
        machine_at_work(clock.agenda).deadline = clock.moment + env.stack.pop()
        frame = env.open_frame()
        frame.states.reset(input_value=env.states.get_input())
        frame.stack = copy.deepcopy(env.stack)
        try:
            state._eval_execution(frame)
        finally:
            frame.set_ended()
            env.close_frame(frame)
        _take_result(state, env, frame.stack[-1])

    return _evaluate_with_timeout


def _take_result(state: ExecutionState, env: Any, output: Any) -> None:
    env.stack.append(output)
    if state.assign_decl:
        state.assign_decl.eval(env=env)
    if state.result_selector:
        state.result_selector.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


# ---- tokens ----------------------------------------------------------------------------------------------------------


def _let_tokens_be_awaited(agenda: Agenda) -> None:
    """Let a task that waits for its token be an actor that waits: for the answer, the end of its time, or of it all."""

    def bell_of(endpoint: CallbackEndpoint) -> Signal:
        bell: Signal = vars(endpoint).setdefault("bell", Signal())
        return bell

    def wait(endpoint: CallbackEndpoint, timeout: float | None = None) -> Any:
        agenda.wait(bell_of(endpoint), LONGEST_WAIT_SECONDS if timeout is None else timeout)
        return endpoint.get_outcome()

    def ringing(original: Any) -> Callable[..., None]:
        def ring(endpoint: CallbackEndpoint, *told: Any, **more: Any) -> None:
            original(endpoint, *told, **more)
            agenda.set(bell_of(endpoint))

        return ring

    replace(CallbackEndpoint, "wait", lambda _: wait)
    replace(CallbackEndpoint, "notify", ringing)
    replace(CallbackEndpoint, "interrupt_all", ringing)


# ---- the items of a Map ----------------------------------------------------------------------------------------------


class Bell:
    """What a pool of threads waits for, for actors."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._rung = Signal()

    def set(self) -> None:
        """Let those go on who wait for it."""
        self._agenda.set(self._rung)

    def wait(self) -> None:
        """Wait until somebody rings: an item always ends, as its Lambdas do."""
        self._agenda.wait(self._rung, LONGEST_WAIT_SECONDS)


def _with_a_bell(original: Any, agenda: Agenda) -> Callable[..., None]:
    def __init__(pool: JobPool, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(pool, *args, **kwargs)
        pool._termination_event = Bell(agenda)

    return __init__


def _launching(agenda: Agenda) -> Callable[..., Any]:
    """Let each who works through a Map's items be an actor: as many of them act beside one another as the Map says."""

    def _launch_worker(component: Any, env: Any, eval_input: Any, job_pool: Any) -> Any:
        machine = machine_at_work(agenda)
        worker = component._create_worker(env=env, eval_input=eval_input, job_pool=job_pool)
        agenda.spawn(f"item of {machine.name}", worker.eval, purpose=Machine(machine.name, machine.functions))
        return worker

    return _launch_worker
