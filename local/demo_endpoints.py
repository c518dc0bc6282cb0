"""The demos of models on instances: an asynchronous endpoint that scales to zero, a real-time one that is parked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pilotlight_client import PilotlightError
from pilotlight_client.endpoint_views import Scaling

from local.demo_story import LEASE, PATIENCE_SECONDS, PROMPT, Demo, StepFailedError

PAYLOAD = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 48}


class EndpointDemo(Demo):
    """What both have in common."""

    scaling: Scaling

    def deploy(self) -> None:
        """Stage the weights, create the endpoint, and see its model answer."""
        self.pilotlight.deploy(
            self.source,
            name="demo",
            backend=self.backend,
            scaling=self.scaling,
            lease=LEASE,
            artifact="delete",
            tags={"shown-by": "demo"},
        )
        self.wait_until_staged()
        with self.timed("import_seconds"):
            view = self.until("demo", "its endpoint exists", _exists)
        endpoint = view["endpoint"]
        self.tell(
            f"endpoint {endpoint['name']} in service after {self.story['import_seconds']} s, on "
            f"{endpoint['instances']} × {endpoint['instance_type']} at ${endpoint['usd_per_instance_hour']:.2f} an hour"
        )
        with self.timed("warm_up"):
            self.until("demo", "it serves", _serves)
        self.tell(f"first warm-up in {self.story.pop('warm_up')} s: SERVING; {view['proposal']['why']}")

    def update(self) -> None:
        """Change how the model is served: the next revision replaces the first while it serves."""
        began = time.monotonic()
        self.pilotlight.update("demo", serving={"options": {"max_model_len": "4096"}})
        view = self.until("demo", "its update is over", lambda view: "update" not in view["endpoint"] and view)
        if view["endpoint"]["revision"] != 2:
            raise StepFailedError(f"the update did not bring revision 2 into service: {view['endpoint']}")
        self.tell(f"updated to revision 2, blue/green, in {time.monotonic() - began:.1f} s")

    def roll_back(self) -> None:
        """Go back to the revision before."""
        began = time.monotonic()
        self.pilotlight.rollback("demo")
        view = self.until("demo", "its rollback is over", lambda view: "update" not in view["endpoint"] and view)
        if view["endpoint"]["revision"] != 1:
            raise StepFailedError(f"the rollback did not bring revision 1 into service: {view['endpoint']}")
        kept = len(self.pilotlight.revisions("demo")["items"])
        self.tell(f"rolled back to revision 1 in {time.monotonic() - began:.1f} s; {kept} revisions are kept")

    def ask_until_answered(self) -> tuple[Any, list[str]]:
        """Return an answered invocation, and the phases that were seen on its way."""
        asked: Any = self.pilotlight.invoke("demo", PROMPT, wait_seconds=0)
        seen: list[str] = []

        def look() -> Any:
            found: Any = self.pilotlight.answer(asked["id"])
            if found["phase"] not in seen:
                seen.append(found["phase"])
            return found if found["status"] == "SUCCEEDED" else None

        return self.poll(f"invocation {asked['id']} is answered", look), seen


class AsyncDemo(EndpointDemo):
    """An asynchronous endpoint: nothing runs while nobody asks."""

    backend = "sagemaker-async"
    # an instance stays long enough to be asked on a busy machine, too; then it shall go with the last answer
    scaling: Scaling = {"min": 0, "max": 2, "scale_in_cooldown_seconds": 6 * 3600}

    def run(self, *, with_upload: bool) -> None:
        """Go through all steps; a folder is not uploaded here. Raises: StepFailedError."""
        del with_upload
        self.preflight()
        self.deploy()
        self.invoke_warm()
        self.update()
        self.roll_back()
        self.scale_to_zero()
        self.invoke_cold()
        self.keep_warm_in_a_window()
        self.let_the_lease_end()
        self.look_for_leftovers()

    def invoke_warm(self) -> None:
        """Hand a call to the endpoint; its result comes by a topic."""
        self.ask_until_answered()  # the first call starts environments of Lambdas
        began = time.monotonic()
        answer, seen = self.ask_until_answered()
        self.story["warm_invocation_ms"] = round((time.monotonic() - began) * 1000)
        if answer["was_cold"]:
            raise StepFailedError(f"an endpoint with an instance was asked and answered as a cold one: {answer}")
        text = answer["output"]["text"] or answer["output"]["reasoning"]
        self.tell(f"answered in {self.story['warm_invocation_ms']} ms ({' → '.join(seen)}): “{text[:60]}…”")

    def scale_to_zero(self) -> None:
        """Let the instance go with the last answer, and see it go."""
        began = time.monotonic()
        soon: Scaling = {**self.scaling, "scale_in": "immediate", "scale_in_cooldown_seconds": 300}
        self.pilotlight.update("demo", scaling=soon)
        view = self.until("demo", "its instance goes", _costs_nothing)
        self.tell(
            f"scale-in set to immediate, the last answer given: no instance after {time.monotonic() - began:.1f} s, "
            f"${view['cost_per_hour']['usd']:.2f} an hour"
        )

    def invoke_cold(self) -> None:
        """Ask while there is no instance: one is asked for at once, minutes before an alarm would."""
        began = time.monotonic()
        answer, seen = self.ask_until_answered()
        self.story["cold_invocation_seconds"] = round(time.monotonic() - began, 2)
        if not answer["was_cold"]:
            raise StepFailedError(f"an endpoint without an instance was asked and answered as a warm one: {answer}")
        self.tell(
            f"cold invocation answered after {self.story['cold_invocation_seconds']} s ({' → '.join(seen)}), "
            f"${answer['cost']['usd']:.4f} of an instance"
        )

    def keep_warm_in_a_window(self) -> None:
        """Open a keep-warm window once there is no instance."""
        self.until("demo", "it has no instance again", lambda view: view["warmth"]["state"] == "COLD")
        self.open_a_window()


class RealtimeDemo(EndpointDemo):
    """A real-time endpoint: answers at once, updated while it serves, parked when it is scaled down."""

    backend = "sagemaker-realtime"
    scaling: Scaling = {"min": 1, "max": 2}

    def run(self, *, with_upload: bool) -> None:
        """Go through all steps; a folder is not uploaded here. Raises: StepFailedError."""
        del with_upload
        self.preflight()
        self.deploy()
        self.invoke_warm()
        with self.calls_without_a_gap():
            self.update()
            self.roll_back()
        self.scale_down()
        self.invoke_cold()
        self.let_the_lease_end()
        self.look_for_leftovers()

    def invoke_warm(self) -> None:
        """Ask: the answer comes with the response, of a prompt and of a body that is the container's own."""
        self.pilotlight.invoke("demo", PROMPT)  # the first call starts a Lambda's environment
        began = time.monotonic()
        answer: Any = self.pilotlight.invoke("demo", PROMPT)
        self.story["warm_invocation_ms"] = round((time.monotonic() - began) * 1000)
        text = answer["output"]["text"] or answer["output"]["reasoning"]
        if answer["was_cold"] or not text:
            raise StepFailedError(f"a warm endpoint was asked and answered {answer}")
        self.tell(f"answered in {self.story['warm_invocation_ms']} ms: “{text[:60]}…”")
        passed = self.pilotlight.predict("demo", PAYLOAD).json()
        self.tell(f"a payload in the container's own words came back with {', '.join(sorted(passed)[:4])}")

    @contextmanager
    def calls_without_a_gap(self) -> Iterator[None]:
        """Ask again and again meanwhile: nobody may meet an endpoint that changes."""
        stopping = threading.Event()
        outcomes: list[str] = []

        def ask() -> None:
            while not stopping.is_set():
                try:
                    outcomes.append(self.pilotlight.invoke("demo", PROMPT)["status"])
                except PilotlightError as exc:
                    outcomes.append(str(exc))
                stopping.wait(0.2)

        caller = threading.Thread(target=ask, name="caller", daemon=True)
        caller.start()
        try:
            yield
        finally:
            stopping.set()
            caller.join(PATIENCE_SECONDS)
        if not outcomes or set(outcomes) != {"SUCCEEDED"}:
            raise StepFailedError(f"calls while it was updated ended as {outcomes}")
        self.tell(f"{len(outcomes)} calls meanwhile, and each was answered")

    def scale_down(self) -> None:
        """Let go of the instance: what cannot be without one is parked."""
        self.pilotlight.scale_down("demo")
        view = self.until(
            "demo", "its endpoint is parked", lambda view: view["endpoint"]["status"] == "Parked" and view
        )
        costs = view["cost_per_hour"]["usd"]
        self.tell(f"scaled down: the endpoint is {view['endpoint']['status'].lower()}, ${costs:.2f} an hour")

    def invoke_cold(self) -> None:
        """Ask a parked endpoint: it is made again from the same config, and the call answered."""
        began = time.monotonic()
        answer, seen = self.ask_until_answered()
        self.story["cold_invocation_seconds"] = round(time.monotonic() - began, 2)
        if not answer["was_cold"]:
            raise StepFailedError(f"a parked endpoint was asked and answered as a warm one: {answer}")
        self.tell(f"cold invocation answered after {self.story['cold_invocation_seconds']} s ({' → '.join(seen)})")


def _costs_nothing(view: Any) -> Any:
    return view["endpoint"]["instances"] == 0 and view["cost_per_hour"]["usd"] == 0 and view


def _exists(view: Any) -> Any:
    return view["status"] in ("WARMING", "SERVING") and view


def _serves(view: Any) -> Any:
    return view["status"] == "SERVING" and view
