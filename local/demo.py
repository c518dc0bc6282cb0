"""One model from a hub to an answered prompt and down again: every step for real, on the embedded cloud.

It uses what a user has: the Python client over HTTP, and a folder uploaded to S3. What it says of time is the wall's;
what was left behind is found by listing the cloud, not by asking the product.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pilotlight_client import Pilotlight
from pilotlight_client.uploading import UploadBucket, plan_upload, read_folder
from pilotlight_client.views import Window
from rich.console import Console
from rich.markup import escape

from local.leftovers import left_behind, transitions
from local.stage import MODEL, hub_address, start_cloud, start_hub

if TYPE_CHECKING:
    from local.cloud import Cloud

PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.1
PROMPT = "Why does a pilot light save gas?"
Story = dict[str, Any]


class StepFailedError(Exception):
    """A step did not come to its end; the message says which and what was seen."""


def show(*, model: str | None, speed: float, as_json: bool) -> int:
    """Run the demo and return its exit code: 0 when every step came to its end and nothing was left behind."""
    console = Console(stderr=as_json, highlight=False)
    began = time.monotonic()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="pilotlight-demo-")))
        hub = start_hub(closing, folder) if model is None else hub_address()
        cloud = start_cloud(closing, hub=hub, speed=speed, port=None)
        ready = time.monotonic() - began
        pilotlight = closing.enter_context(Pilotlight(cloud.api_url))
        demo = Demo(cloud, pilotlight, console, source=f"hf://{model or MODEL}", folder=folder / "small-llama")
        try:
            demo.tell(f"embedded cloud and API ready in {ready:.1f} s at {cloud.api_url}")
            demo.run(with_upload=model is None)
            demo.story["status"] = "ok" if not demo.story["left_behind"] else "failed"
        except (StepFailedError, RuntimeError) as exc:
            demo.story |= {"status": "failed", "reason": str(exc)}
    story = {"status": demo.story.pop("status"), "seconds": round(time.monotonic() - began, 1)}
    story |= {"ready_seconds": round(ready, 2), **demo.story}
    _summarise(console, story)
    if as_json:
        sys.stdout.write(json.dumps(story) + "\n")
    return 0 if story["status"] == "ok" else 1


class Demo:
    """The steps, in their order; `story` is what they measured."""

    def __init__(self, cloud: Cloud, pilotlight: Pilotlight, console: Console, *, source: str, folder: Path) -> None:
        self._cloud = cloud
        self._pilotlight = pilotlight
        self._console = console
        self._source = source
        self._folder = folder
        self._began = time.monotonic()
        self.story: Story = {}

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

    def preflight(self) -> None:
        """Ask for the verdict before a byte of weights moves."""
        told = self._pilotlight.preflight(self._source)
        verdict = told["verdict"]
        if not verdict["accepted"]:
            refused = [check["found"] for check in verdict["checks"] if check["outcome"] == "refused"]
            raise StepFailedError(f"preflight refused {self._source}: {'; '.join(refused)}")
        skipped = len(verdict["skipped"])
        self.tell(
            f"preflight: {told['source']} accepted, {verdict['facts']['architecture']}, "
            f"{verdict['total_bytes']:,} bytes to stage, {skipped} files skipped"
        )

    def deploy(self) -> None:
        """Stage, import and warm the model."""
        self._pilotlight.deploy(self._source, name="demo", lease="8h", tags={"shown-by": "demo"})
        staging = self._until("demo", "it is staged", lambda view: view["status"] != "REQUESTED" and view)
        with self._timed("staging_seconds"):
            self._until("demo", "its weights are staged", lambda view: view["status"] not in ("REQUESTED", "STAGING"))
        staged = self._staged_bytes()
        self.story["staged_bytes"] = staged
        self.tell(
            f"staged {staged:,} bytes as artifact {staging['artifact_id']} in {self.story.pop('staging_seconds')} s"
        )
        with self._timed("import_seconds"):
            self._until("demo", "it is imported", lambda view: view["status"] not in ("IMPORTING",))
        self.tell(f"imported into Bedrock in {self.story['import_seconds']} s")
        with self._timed("warm_up"):
            view = self._until("demo", "it serves", lambda view: view["status"] == "SERVING" and view)
        self.tell(
            f"warmed up in {self.story.pop('warm_up')} s: SERVING on {view['units']} units, "
            f"${view['cost_per_hour']['usd']:.2f} an hour while warm, nothing per hour while cold"
        )

    def invoke_warm(self) -> None:
        """Ask a warm model: the answer comes with the response."""
        self._pilotlight.invoke("demo", PROMPT)  # the first call starts a Lambda's environment
        began = time.monotonic()
        answer = self._pilotlight.invoke("demo", PROMPT)
        self.story["warm_invocation_ms"] = round((time.monotonic() - began) * 1000)
        output = answer.get("output")
        if answer["was_cold"] or not output or not output["text"]:
            raise StepFailedError(f"a warm model was asked and answered {answer}")
        self.tell(f"warm invocation answered in {self.story['warm_invocation_ms']} ms: “{output['text'][:70]}…”")

    def upload(self) -> None:
        """Upload a folder to S3: it starts its own import."""
        health = self._pilotlight.health()
        bucket = UploadBucket.of(health, "uploaded")
        bucket.send(plan_upload(read_folder(self._folder), bucket.stored()), lambda _sent: None)
        upload = self._poll(
            "the uploaded folder starts its import",
            lambda: (view := self._pilotlight.upload("uploaded")) and view["status"] == "STARTED" and view,
        )
        self.tell(f"uploaded folder s3://{health['upload_bucket']}/uploads/uploaded/: {upload['reason']}")

    def see_the_upload_serve(self) -> None:
        """Wait for the uploaded model, which nobody asked to be deployed."""
        self._until("uploaded", "the uploaded model serves", lambda view: view["status"] == "SERVING")
        self.tell("the uploaded model imported itself and serves")

    def invoke_cold(self) -> None:
        """Ask a model that went cold: the invocation is queued, the model woken, the answer kept."""
        self._until("demo", "it goes cold", lambda view: view["warmth"]["state"] == "COLD")
        self._cloud.clock.sleep(60)  # the record is careful: it takes the model for cold a little before it is
        began = time.monotonic()
        answer = self._pilotlight.invoke("demo", PROMPT)
        self.story["cold_invocation_seconds"] = round(time.monotonic() - began, 2)
        cost = answer.get("cost")
        if not answer["was_cold"] or cost is None:
            raise StepFailedError(f"a cold model was asked and answered as a warm one: {answer}")
        self.tell(
            f"cold invocation queued, model woken, answered after {self.story['cold_invocation_seconds']} s "
            f"(${cost['usd']:.2f}: the window that it opened)"
        )

    def keep_warm_in_a_window(self) -> None:
        """Open a keep-warm window: the model is warm without a caller, and cold again after it."""
        self._until("demo", "it goes cold again", lambda view: view["warmth"]["state"] == "COLD")
        now = self._pilotlight.now
        start, end = (f"{now + timedelta(minutes=minutes):%H:%M}" for minutes in (2, 8))
        window: Window = {"days": "*", "start": start, "end": end, "timezone": "UTC"}
        self._pilotlight.set_keep_warm("demo", {"policy": "window", "windows": [window]})
        self._until("demo", "its window warms it", lambda view: view["warmth"]["state"] == "WARM")
        self.tell(f"keep-warm window {start}–{end} UTC opened: warm without a caller")
        self._until("demo", "its window lets go", lambda view: view["warmth"]["state"] == "COLD")
        self.tell("the window closed: cold again, and nothing is billed by the hour")

    def let_the_lease_end(self) -> None:
        """Shorten the lease: its end takes everything down."""
        cost = self._pilotlight.set_lease("demo", "3m")["cost_so_far"]["usd"]
        self._until("demo", "its lease ends it", lambda view: view["status"] == "GONE")
        self._add_cost("demo")
        self.tell(f"lease of 3 minutes ended: torn down by itself, ${cost:.2f} in all")

    def tear_down(self, name: str) -> None:
        """Delete a deployment."""
        self._pilotlight.teardown(name)
        self._until(name, "it is torn down", lambda view: view["status"] == "GONE")
        self._add_cost(name)
        self.tell(f"deployment {name} torn down on request")

    def look_for_leftovers(self) -> None:
        """List the cloud: nothing that a deployment made may be left."""
        self._poll("every execution ends", lambda: not any("execution" in each for each in left_behind(self._cloud)))
        self.story["transitions"] = transitions(self._cloud)
        self.story["estimated_cost_usd"] = round(self.story["estimated_cost_usd"], 2)
        self.story["left_behind"] = left_behind(self._cloud)

    def tell(self, what: str) -> None:
        """Say what happened, and how many seconds in."""
        seconds = time.monotonic() - self._began
        self._console.print(f"[dim]{seconds:6.1f} s[/dim]  {escape(what)}", soft_wrap=True)

    def _add_cost(self, name: str) -> None:
        cost = self._pilotlight.deployment(name)["cost_so_far"]["usd"]
        self.story["estimated_cost_usd"] = self.story.get("estimated_cost_usd", 0.0) + cost

    def _staged_bytes(self) -> int:
        s3, bucket = self._cloud.client("s3"), self._cloud.resources["ArtifactBucket"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="artifacts/")
        return sum(each["Size"] for page in pages for each in page.get("Contents", []) if "/weights/" in each["Key"])

    @contextmanager
    def _timed(self, figure: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.story[figure] = round(time.monotonic() - began, 2)

    def _until(self, name: str, what: str, holds: Callable[[Any], Any]) -> Any:
        def look() -> Any:
            view = self._pilotlight.deployment(name)
            if view["status"] == "FAILED":
                raise StepFailedError(f"deployment {name} failed: {view.get('failure')}")
            return holds(view)

        return self._poll(f"{name}: {what}", look)

    @staticmethod
    def _poll(what: str, look: Callable[[], Any]) -> Any:
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            if found := look():
                return found
            time.sleep(POLL_SECONDS)
        raise StepFailedError(f"{what}: not seen within {PATIENCE_SECONDS:.0f} s")


def _summarise(console: Console, story: Story) -> None:
    if story["status"] != "ok" and "reason" in story:
        console.print(f"\n[bold red]The demo failed[/bold red]: {story['reason']}")
        return
    left = ", ".join(story["left_behind"]) or "nothing"
    console.print(
        f"\n[bold]From a hub to an answered prompt and down again in {story['seconds']} s[/bold]\n"
        f"  staged             {story['staged_bytes']:,} bytes\n"
        f"  import             {story['import_seconds']} s\n"
        f"  cold invocation    {story['cold_invocation_seconds']} s\n"
        f"  warm invocation    {story['warm_invocation_ms']} ms\n"
        f"  transitions        {story['transitions']}\n"
        f"  estimated cost     ${story['estimated_cost_usd']:.2f} at AWS's rates\n"
        f"  left behind        {left}"
    )
