"""One model from a source to an answered prompt and down again: every step for real, on the embedded cloud.

It uses what a user has: the Python client over HTTP, and a folder uploaded to S3. What it says of time is the wall's;
what was left behind is found by listing the cloud, not by asking the product.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from pilotlight_client import Pilotlight, PilotlightError
from rich.console import Console

from local.demo_bedrock import BedrockDemo
from local.demo_endpoints import AsyncDemo, RealtimeDemo
from local.demo_story import Demo, StepFailedError, Story
from local.stage import MODEL, hub_address, start_cloud, start_hub

DEMOS: Mapping[str, type[Demo]] = {demo.backend: demo for demo in (BedrockDemo, AsyncDemo, RealtimeDemo)}


def show(*, model: str | None, backend: str, speed: float, as_json: bool) -> int:
    """Run the demo and return its exit code: 0 when every step came to its end and nothing was left behind."""
    console = Console(stderr=as_json, highlight=False)
    began = time.monotonic()
    with ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="pilotlight-demo-")))
        hub = start_hub(closing, folder) if model is None else hub_address()
        cloud = start_cloud(closing, hub=hub, speed=speed, port=None)
        ready = time.monotonic() - began
        pilotlight = closing.enter_context(Pilotlight(cloud.api_url))
        source = f"hf://{model or MODEL}"
        demo = DEMOS[backend](cloud, pilotlight, console, source=source, folder=folder / "small-llama")
        try:
            demo.tell(f"embedded cloud and API ready in {ready:.1f} s at {cloud.api_url}")
            demo.run(with_upload=model is None)
            demo.story["status"] = "ok" if not demo.story["left_behind"] else "failed"
        except (StepFailedError, PilotlightError, RuntimeError) as exc:
            demo.story |= {"status": "failed", "reason": str(exc)}
    story = {"status": demo.story.pop("status"), "seconds": round(time.monotonic() - began, 1)}
    story |= {"ready_seconds": round(ready, 2), **demo.story}
    _summarise(console, story)
    if as_json:
        sys.stdout.write(json.dumps(story) + "\n")
    return 0 if story["status"] == "ok" else 1


def _summarise(console: Console, story: Story) -> None:
    if story["status"] != "ok" and "reason" in story:
        console.print(f"\n[bold red]The demo failed[/bold red]: {story['reason']}")
        return
    left = ", ".join(story["left_behind"]) or "nothing"
    console.print(
        f"\n[bold]From a hub to an answered prompt and down again in {story['seconds']} s[/bold]\n"
        f"  staged             {story['staged_bytes']:,} bytes\n"
        f"  {'import  ' if story['backend'] == 'bedrock' else 'endpoint'}           {story['import_seconds']} s\n"
        f"  cold invocation    {story['cold_invocation_seconds']} s\n"
        f"  warm invocation    {story['warm_invocation_ms']} ms\n"
        f"  transitions        {story['transitions']}\n"
        f"  estimated cost     ${story['estimated_cost_usd']:.2f} at AWS's rates\n"
        f"  left behind        {left}"
    )
