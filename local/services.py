"""What the embedded cloud adds to moto, put together in the order in which the parts need each other."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from local.clock import ScaledClock


class _Running(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


def start_services(clock: ScaledClock, endpoint_url: str, closing: ExitStack) -> None:
    """Install every seam and start what has threads; `closing` ends it all, last first."""
