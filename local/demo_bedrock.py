"""The demo of Bedrock Custom Model Import: imported, invoked warm and cold, kept warm in a window, torn down."""

from __future__ import annotations

import time
from typing import Any

from local.demo_story import LEASE, PROMPT, Demo, StepFailedError


class BedrockDemo(Demo):
    """The steps, in their order."""

    backend = "bedrock"

    def run(self, *, with_upload: bool) -> None:
        """Go through all steps. Raises: StepFailedError."""
        self.preflight()
        self.deploy()
        self.invoke_warm()
        if with_upload:
            self.upload()
        self.invoke_cold()
        if with_upload:
            self.see_the_upload_serve()
        self.keep_warm_in_a_window()
        self.let_the_lease_end()
        if with_upload:
            self.tear_down("uploaded")
        self.look_for_leftovers()

    def deploy(self) -> None:
        """Stage, import and warm the model."""
        self.pilotlight.deploy(self.source, name="demo", lease=LEASE, artifact="delete", tags={"shown-by": "demo"})
        self.wait_until_staged()
        with self.timed("import_seconds"):
            self.until("demo", "it is imported", lambda view: view["status"] not in ("IMPORTING",))
        self.tell(f"imported into Bedrock in {self.story['import_seconds']} s")
        with self.timed("warm_up"):
            view = self.until("demo", "it serves", lambda view: view["status"] == "SERVING" and view)
        self.tell(
            f"warmed up in {self.story.pop('warm_up')} s: SERVING on {view['units']} units, "
            f"${view['cost_per_hour']['usd']:.2f} an hour while warm, nothing per hour while cold"
        )

    def invoke_warm(self) -> None:
        """Ask a warm model: the answer comes with the response."""
        self.pilotlight.invoke("demo", PROMPT)  # the first call starts a Lambda's environment
        answer, took = self.poll("a warm model answers at once", self._answer_of_a_warm_model)
        self.story["warm_invocation_ms"] = round(took * 1000)
        output = answer.get("output")
        if not output or not output["text"]:
            raise StepFailedError(f"a warm model was asked and answered {answer}")
        self.tell(f"warm invocation answered in {self.story['warm_invocation_ms']} ms: “{output['text'][:70]}…”")

    def _answer_of_a_warm_model(self) -> tuple[Any, float] | None:
        """Return an answer and its seconds; None where the model went cold before: it idles for seconds of the wall."""
        began = time.monotonic()
        answer = self.pilotlight.invoke("demo", PROMPT)
        return None if answer["was_cold"] else (answer, time.monotonic() - began)

    def upload(self) -> None:
        """Upload a folder to S3: it starts its own import."""
        (self.folder / "pilotlight.json").write_text('{"artifact": "delete"}', encoding="utf-8")
        summary = self.pilotlight.upload_folder("uploaded", self.folder)
        upload = self.poll(
            "the uploaded folder starts its import",
            lambda: (view := self.pilotlight.upload("uploaded")) and view["status"] == "STARTED" and view,
        )
        self.tell(f"uploaded folder {summary['address']}: {upload['reason']}")

    def see_the_upload_serve(self) -> None:
        """Wait for the uploaded model, which nobody asked to be deployed."""
        self.until("uploaded", "the uploaded model serves", lambda view: view["status"] == "SERVING")
        self.tell("the uploaded model imported itself and serves")

    def invoke_cold(self) -> None:
        """Ask a model that went cold: the invocation is queued, the model woken, the answer kept."""
        self.until("demo", "it goes cold", lambda view: view["warmth"]["state"] == "COLD")
        self.cloud.clock.sleep(60)  # the record is careful: it takes the model for cold a little before it is
        began = time.monotonic()
        answer = self.pilotlight.invoke("demo", PROMPT)
        self.story["cold_invocation_seconds"] = round(time.monotonic() - began, 2)
        cost = answer.get("cost")
        if not answer["was_cold"] or cost is None:
            raise StepFailedError(f"a cold model was asked and answered as a warm one: {answer}")
        self.tell(
            f"cold invocation queued, model woken, answered after {self.story['cold_invocation_seconds']} s "
            f"(${cost['usd']:.2f}: the window that it opened)"
        )

    def keep_warm_in_a_window(self) -> None:
        """Open a keep-warm window once the model is cold."""
        self.until("demo", "it goes cold again", lambda view: view["warmth"]["state"] == "COLD")
        self.open_a_window()
