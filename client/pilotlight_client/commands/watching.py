"""Following a deployment on its way, with bars for a person and a line of JSON for each change of its status."""

from contextlib import nullcontext

from pilotlight_client import endpoint_rendering, rendering
from pilotlight_client.commands.session import Session
from pilotlight_client.errors import DeploymentFailed, TimedOut
from pilotlight_client.progress import DeploymentProgress
from pilotlight_client.views import DeploymentView

QUEUED = "queued"
UPDATE_STATES = {"Creating": "creating", "Updating": "updating", "RollingBack": "going back"}
"""What an endpoint's status says of an update under way; any other says nothing of it."""


def goes_on(name: str) -> str:
    """Return what to say to somebody who stops watching."""
    return f"Stopped watching; deployment {name} goes on. Follow it with: pilotlight status {name} --watch"


def follow(session: Session, view: DeploymentView, *, until: str, timeout_seconds: float | None) -> None:
    """Watch a deployment until it has that status, then print it. What was seen last is printed in any case.

    Raises: DeploymentFailed, TimedOut.
    """
    screen, pilotlight = session.screen, session.pilotlight
    screen.if_interrupted = goes_on(view["name"])
    last_status: str | None = None
    last = view

    def tell(current: DeploymentView) -> None:
        nonlocal last_status, last
        last = current
        if progress is not None:
            progress.show(current, pilotlight.now)
        elif current["status"] != last_status:
            screen.result({"name": current["name"], "status": current["status"], "at": current["updated_at"]})
        last_status = current["status"]

    try:
        with nullcontext() if screen.as_json else DeploymentProgress(screen.err) as progress:
            tell(view)
            done = pilotlight.wait_until(view["name"], {until}, tell, timeout_seconds=timeout_seconds)
    except DeploymentFailed as error:
        screen.result(error.view)
        raise
    except TimedOut as error:
        screen.result(last)
        raise TimedOut(f"{error} Follow it with: pilotlight status {view['name']} --watch", last) from error
    screen.result(done, rendering.deployment(done, pilotlight.now))


def follow_wake(session: Session, view: DeploymentView, *, timeout_seconds: float | None) -> None:
    """Watch a warm-up until the model is warm, then print the deployment.

    Raises: DeploymentFailed when the warm-up ends without an answer; TimedOut.
    """
    screen, pilotlight = session.screen, session.pilotlight
    name = view["name"]
    screen.if_interrupted = goes_on(name)
    state, woke = "", False
    for current in pilotlight.watch(name, timeout_seconds=timeout_seconds):
        warmth = current.get("warmth")
        before, state = state, warmth["state"] if warmth else "COLD"
        woke = woke or state == "WAKING"
        if state != before:
            screen.note(rendering.status_text(state))
            if screen.as_json:
                screen.result({"name": name, "warmth": state, "at": current["updated_at"]})
        if state == "WARM":
            screen.result(current, rendering.deployment(current, pilotlight.now))
            return
        if current["status"] != "SERVING" or (woke and state == "COLD"):
            screen.result(current)
            raise DeploymentFailed(f"{name} did not become warm; pilotlight events {name} says why.", current)


def follow_update(session: Session, view: DeploymentView, *, timeout_seconds: float | None) -> None:
    """Watch an update until its revision is in service, then print the deployment.

    Raises: DeploymentFailed when the endpoint went back to the revision before; TimedOut.
    """
    screen, pilotlight = session.screen, session.pilotlight
    name, wanted = view["name"], _revision_to_come(view)
    told: str | None = None
    screen.if_interrupted = goes_on(name)
    endpoint = view.get("endpoint")
    if replaced := endpoint_rendering.replacement(endpoint) if endpoint else None:
        screen.note(rendering.plain(replaced))

    def tell(revision: int | None, state: str, at: str) -> None:
        nonlocal told
        if state != told:
            told = state
            screen.note(rendering.plain(f"revision {revision}: {state}"))
            if screen.as_json:
                screen.result({"name": name, "revision": revision, "update": state, "at": at})

    for current in pilotlight.watch(name, timeout_seconds=timeout_seconds):
        endpoint = current.get("endpoint")
        update = endpoint.get("update") if endpoint else None
        if update and endpoint:
            tell(update["revision"], _state_of_update(endpoint["status"], told), current["updated_at"])
        if update and current["status"] == "SERVING":
            continue
        if current["status"] != "SERVING" or (wanted and endpoint and endpoint["revision"] != wanted):
            screen.result(current)
            raise DeploymentFailed(_what_became_of(current, wanted), current)
        if told:
            tell(wanted, "done", current["updated_at"])
        screen.result(current, rendering.deployment(current, pilotlight.now))
        return


def _state_of_update(endpoint_status: str, before: str | None) -> str:
    """Return where an update is: an endpoint is in service before its update begins, and again when it ends."""
    if state := UPDATE_STATES.get(endpoint_status):
        return state
    return before if before and before != QUEUED else QUEUED


def _revision_to_come(view: DeploymentView) -> int | None:
    """Return which revision an update brings, or None where the endpoint stays on its own."""
    endpoint = view.get("endpoint")
    update = endpoint.get("update") if endpoint else None
    return update["revision"] if update else None


def _what_became_of(view: DeploymentView, wanted: int | None) -> str:
    endpoint = view.get("endpoint")
    is_on = f"stays on revision {endpoint['revision']}" if endpoint else "has no endpoint"
    told = f"Revision {wanted} of {view['name']} is not in service: the deployment is {view['status']} and {is_on}"
    failed = endpoint.get("failed_update") if endpoint else None
    if failed and failed["revision"] == wanted:
        return f"{told}. {failed['reason']}"
    return f"{told}; pilotlight events {view['name']} says why."
