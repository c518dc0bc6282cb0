"""Waiting for what takes long: how often to look, when to give up, and what can no longer come."""

from collections.abc import Callable, Collection, Iterator

import httpx

from pilotlight_client.connection import Connection, retry_after
from pilotlight_client.errors import DeploymentFailed, InvocationFailed, TimedOut
from pilotlight_client.views import DeploymentView, InvocationView

LOCAL_POLL_SECONDS = 0.5
REMOTE_POLL_SECONDS = 3.0
ASSUMED_RETRY_SECONDS = 2.0
SHORTEST_RETRY_SECONDS = 0.1
DEAD_ENDS = frozenset({"FAILED", "GONE"})
ANSWERED = frozenset({"SUCCEEDED", "FAILED"})
BROKEN_PHASES = frozenset({"failed", "expired"})


def looks(connection: Connection, timeout_seconds: float | None, what: str) -> Iterator[int]:
    """Yield 0, 1, 2 … with a pause after each, until the time is over.

    Raises: TimedOut, saying that what was waited for goes on.
    """
    clock = connection.clock
    pause = LOCAL_POLL_SECONDS if connection.is_local else REMOTE_POLL_SECONDS
    ends = None if timeout_seconds is None else clock.monotonic() + timeout_seconds
    look = 0
    while True:
        yield look
        look += 1
        if ends is not None and clock.monotonic() + pause > ends:
            raise TimedOut(f"Gave up waiting for {what} after {timeout_seconds:g} s; nothing was stopped by that.")
        clock.sleep(pause)


def require_on_its_way(view: DeploymentView, seen: DeploymentView | None, statuses: Collection[str]) -> None:
    """Let a deployment pass that may still come to one of these statuses.

    Raises: DeploymentFailed, saying where it went instead and why.
    """
    wanted = " or ".join(sorted(statuses))
    if seen and view["generation"] != seen["generation"]:
        raise DeploymentFailed(
            f"Deployment {view['name']} was replaced by generation {view['generation']} before it was {wanted}.", view
        )
    if view["status"] in DEAD_ENDS or (view["status"] == "TEARING_DOWN" and "GONE" not in statuses):
        raise DeploymentFailed(_where_it_went(view, wanted), view)


def _where_it_went(view: DeploymentView, wanted: str) -> str:
    """Return what became of it instead; a failure that was before its teardown is no reason of that."""
    failure = view.get("failure")
    if view["status"] == "FAILED" and failure:
        during = f" while {failure['during']}" if failure.get("during") else ""
        return f"Deployment {view['name']} FAILED{during}: {failure['reason']}"
    return f"Deployment {view['name']} is {view['status']}, not {wanted}."


def answer_to(
    connection: Connection,
    response: httpx.Response,
    ends: float | None,
    on_wait: Callable[[InvocationView], None] | None,
    poll_seconds: float | None = None,
) -> InvocationView:
    """Return the answer that a response holds or points to; without `ends` what is known already.

    The record is asked for again at its Location, as often as Retry-After or `poll_seconds` says.

    Raises: InvocationFailed; TimedOut, whose `view` is the record.
    """
    clock = connection.clock
    view: InvocationView = response.json()
    location = response.headers.get("Location") or f"/invocations/{view['id']}"
    while not is_over(view) and ends is not None:
        if on_wait:
            on_wait(view)
        remaining = ends - clock.monotonic()
        if remaining <= 0:
            raise TimedOut(_still(view), view)
        pause = pause_before_next_look(response, view) if poll_seconds is None else poll_seconds
        clock.sleep(min(max(pause, SHORTEST_RETRY_SECONDS), remaining))
        response = connection.send("GET", location)
        view = response.json()
    require_answer(view)
    return view


def is_over(view: InvocationView) -> bool:
    """Say whether nothing more will become of an invocation."""
    return view["status"] in ANSWERED or view.get("phase") in BROKEN_PHASES


def require_answer(view: InvocationView) -> None:
    """Let an invocation pass that has its answer, or may still get one.

    Raises: InvocationFailed.
    """
    if view["status"] == "FAILED" or view.get("phase") in BROKEN_PHASES:
        raise InvocationFailed(view)


def pause_before_next_look(response: httpx.Response, view: InvocationView) -> float:
    """Return the seconds after which an invocation is worth being asked for again."""
    told = retry_after(response)
    if told is None:
        told = view.get("retry_after_seconds")
    return ASSUMED_RETRY_SECONDS if told is None else float(told)


def _still(view: InvocationView) -> str:
    reasons = [reason for reason in (view.get("phase"), view.get("waiting_for")) if reason]
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"Invocation {view['id']} is still {view['status']}{why}; its answer will be kept."
