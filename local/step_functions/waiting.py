"""Time within executions: Wait states, retries and every timestamp run with the simulated clock."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import Any

from local.clock import ScaledClock
from local.seams import replace
from local.step_functions.interpreter import (
    Environment,
    EventManager,
    FailureEventException,
    JitterStrategyDecl,
    Timestamp,
    WaitFunction,
    state_module,
)

_LONGEST_LOOK_SECONDS = 0.5


def install(clock: ScaledClock) -> None:
    """Scale what waits, and stamp what happens."""
    replace(WaitFunction, "_wait_interval", lambda _: _waiting(clock))
    replace(Timestamp, "_get_wait_seconds", lambda _: _until(clock))
    replace(JitterStrategyDecl, "_eval_body", lambda original: _backing_off(original, clock))
    replace(EventManager, "_get_current_timestamp", lambda _: _now(clock))
    replace(state_module, "StateData", lambda _: _entering(clock))


def iso_time(moment: datetime) -> str:
    """Give a time as the context object writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _waiting(clock: ScaledClock) -> Any:
    """Wait the simulated seconds, unless the execution is stopped; moto waits the wall's."""

    def _wait_interval(_: WaitFunction, env: Environment, wait_seconds: float) -> None:
        deadline = monotonic() + clock.wall_seconds(wait_seconds)
        while env.is_running() and (left := deadline - monotonic()) > 0:
            # Looking again guards against a stop between the question and the wait.
            env.program_state_event.wait(min(left, _LONGEST_LOOK_SECONDS))

    return _wait_interval


def _until(clock: ScaledClock) -> Any:
    """A Timestamp is compared with the simulated clock in UTC; moto takes the machine's local time."""

    def _get_wait_seconds(wait: Timestamp, env: Environment) -> float:
        wait.string.eval(env=env)
        text = env.stack.pop()
        moment = wait._from_timestamp_string(timestamp=text) if isinstance(text, str) else None
        if moment is None:
            raise FailureEventException(wait._create_failure_event(env, text))
        return float((moment.replace(tzinfo=UTC) - clock.now()).total_seconds())

    return _get_wait_seconds


def _backing_off(original: Any, clock: ScaledClock) -> Any:
    """The pause before a retry is simulated time. Jitter is the last to change it, so it is scaled after that."""

    def _eval_body(jitter: JitterStrategyDecl, env: Environment) -> None:
        original(jitter, env)
        env.stack.append(clock.wall_seconds(env.stack.pop()))

    return _eval_body


def _now(clock: ScaledClock) -> Any:
    """History's timestamps are simulated, like the clock of the Lambdas that read them."""

    def _get_current_timestamp() -> datetime:
        return clock.now()

    return _get_current_timestamp


def _entering(clock: ScaledClock) -> Any:
    """$$.State.EnteredTime is the simulated time, written as the service writes it."""

    def state_data(**fields: Any) -> dict[str, Any]:
        return {**fields, "EnteredTime": iso_time(clock.now())}

    return state_data
