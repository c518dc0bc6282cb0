"""What every demo has: the steps that are the same for each backend, and how a step is waited for and told."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotlight_client import Pilotlight
from pilotlight_client.views import Window
from rich.console import Console
from rich.markup import escape

from local.leftovers import left_behind, transitions

if TYPE_CHECKING:
    from local.cloud import Cloud

PATIENCE_SECONDS = 300.0  # of the wall: a step takes seconds, unless the machine is busy with something else
POLL_SECONDS = 0.1
LEASE = "24h"  # longer than any demo takes, on however busy a machine: its end is shown with another one
PROMPT = "Why does a pilot light save gas?"
Story = dict[str, Any]


class StepFailedError(Exception):
    """A step did not come to its end; the message says which and what was seen."""


class Demo(ABC):
    """A deployment from its source to an answered prompt and down again; `story` is what the steps measured."""

    backend: str

    def __init__(self, cloud: Cloud, pilotlight: Pilotlight, console: Console, *, source: str, folder: Path) -> None:
        self.cloud = cloud
        self.pilotlight = pilotlight
        self.source = source
        self.folder = folder
        self._console = console
        self._began = time.monotonic()
        self.story: Story = {"backend": self.backend}

    @abstractmethod
    def run(self, *, with_upload: bool) -> None:
        """Go through all steps. Raises: StepFailedError."""

    def preflight(self) -> None:
        """Ask for the verdict before a byte of weights moves."""
        told = self.pilotlight.preflight(self.source, self.backend)
        verdict = told["verdict"]
        if not verdict["accepted"]:
            refused = [check["found"] for check in verdict["checks"] if check["outcome"] == "refused"]
            raise StepFailedError(f"preflight refused {self.source}: {'; '.join(refused)}")
        skipped = len(verdict["skipped"])
        self.tell(
            f"preflight: {told['source']} accepted, {verdict['facts']['architecture']}, "
            f"{verdict['total_bytes']:,} bytes to stage, {skipped} files skipped"
        )

    def wait_until_staged(self) -> None:
        """See the weights arrive in the artifact bucket."""
        staging = self.until("demo", "it is staged", lambda view: view["status"] != "REQUESTED" and view)
        with self.timed("staging_seconds"):
            self.until("demo", "its weights are staged", lambda view: view["status"] not in ("REQUESTED", "STAGING"))
        staged = self.staged_bytes()
        self.story["staged_bytes"] = staged
        self.tell(
            f"staged {staged:,} bytes as artifact {staging['artifact_id']} in {self.story.pop('staging_seconds')} s"
        )

    def open_a_window(self) -> None:
        """Keep a cold model warm for a while: it is warm without a caller, and cold again after it.

        It is closed once it was seen to be open: one of a few minutes would be over before a busy machine looks.
        """
        opens, began = self.pilotlight.now + timedelta(minutes=1), time.monotonic()
        self._keep_warm(opens, opens + timedelta(hours=8))
        self.until("demo", "its window warms it", lambda view: view["warmth"]["state"] == "WARM")
        self.tell(
            f"keep-warm window from {opens:%H:%M} UTC opened: warm without a caller, "
            f"{time.monotonic() - began:.1f} s after it was asked for"
        )
        closes, began = self.pilotlight.now + timedelta(minutes=1), time.monotonic()
        self._keep_warm(opens, closes)
        self.until("demo", "its window lets go", lambda view: view["warmth"]["state"] == "COLD")
        self.tell(
            f"the window closed at {closes:%H:%M} UTC: cold again after {time.monotonic() - began:.1f} s, and nothing "
            "is billed by the hour"
        )

    def _keep_warm(self, opens: datetime, closes: datetime) -> None:
        window: Window = {"days": "*", "start": f"{opens:%H:%M}", "end": f"{closes:%H:%M}", "timezone": "UTC"}
        self.pilotlight.set_keep_warm("demo", {"policy": "window", "windows": [window]})

    def let_the_lease_end(self) -> None:
        """Shorten the lease: its end takes everything down."""
        cost = self.pilotlight.set_lease("demo", "3m")["cost_so_far"]["usd"]
        self.until("demo", "its lease ends it", lambda view: view["status"] == "GONE")
        self.add_cost("demo")
        self.tell(f"lease of 3 minutes ended: torn down by itself, ${cost:.2f} in all")

    def tear_down(self, name: str) -> None:
        """Delete a deployment."""
        self.pilotlight.teardown(name)
        self.until(name, "it is torn down", lambda view: view["status"] == "GONE")
        self.add_cost(name)
        self.tell(f"deployment {name} torn down on request")

    def look_for_leftovers(self) -> None:
        """List the cloud: nothing that a deployment made may be left."""
        left = left_behind(self.cloud)
        ends = time.monotonic() + PATIENCE_SECONDS
        while left and time.monotonic() < ends:  # what was on its way when the last deployment went may still arrive
            time.sleep(POLL_SECONDS)
            left = left_behind(self.cloud)
        self.story["transitions"] = transitions(self.cloud)
        self.story["estimated_cost_usd"] = round(self.story["estimated_cost_usd"], 2)
        self.story["left_behind"] = left

    def tell(self, what: str) -> None:
        """Say what happened, and how many seconds in."""
        seconds = time.monotonic() - self._began
        self._console.print(f"[dim]{seconds:6.1f} s[/dim]  {escape(what)}", soft_wrap=True)

    def add_cost(self, name: str) -> None:
        """Add what a deployment has cost."""
        cost = self.pilotlight.deployment(name)["cost_so_far"]["usd"]
        self.story["estimated_cost_usd"] = self.story.get("estimated_cost_usd", 0.0) + cost

    def staged_bytes(self) -> int:
        """Return the bytes of all weights in the artifact bucket."""
        s3, bucket = self.cloud.client("s3"), self.cloud.resources["ArtifactBucket"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="artifacts/")
        return sum(each["Size"] for page in pages for each in page.get("Contents", []) if "/weights/" in each["Key"])

    @contextmanager
    def timed(self, figure: str) -> Iterator[None]:
        """Measure what happens within, in seconds of the wall."""
        began = time.monotonic()
        yield
        self.story[figure] = round(time.monotonic() - began, 2)

    def until(self, name: str, what: str, holds: Callable[[Any], Any]) -> Any:
        """Return what `holds` gives of a deployment, once it gives something. Raises: StepFailedError."""

        def look() -> Any:
            view = self.pilotlight.deployment(name)
            if view["status"] == "FAILED":
                raise StepFailedError(f"deployment {name} failed: {view.get('failure')}")
            return holds(view)

        return self.poll(f"{name}: {what}", look)

    @staticmethod
    def poll(what: str, look: Callable[[], Any]) -> Any:
        """Return what a look gives, once it gives something. Raises: StepFailedError."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            if found := look():
                return found
            time.sleep(POLL_SECONDS)
        raise StepFailedError(f"{what}: not seen within {PATIENCE_SECONDS:.0f} s")
