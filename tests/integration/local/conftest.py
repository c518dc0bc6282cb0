"""The sample application in an embedded cloud of its own, one for each module of tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.cloud import Cloud

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(SAMPLE, stack_name="sample", speed=200, environment={"FROM_THE_CLOUD": "yes"}) as running:
        yield running


@pytest.fixture
def invoke(cloud: Cloud) -> Callable[..., Any]:
    """Give what the sample's worker makes of an event, and the kind of error if it is one."""

    def call(**event: Any) -> tuple[Any, str | None]:
        answer = cloud.client("lambda").invoke(FunctionName="sample-work", Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    return call


def eventually(look: Callable[[], Any], *, seconds: float = 90.0) -> Any:
    """Give the first true thing that is seen; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"Nothing came within {seconds} s."
        time.sleep(0.02)
    return seen


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Any]:
    return eventually
