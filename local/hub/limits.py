"""How many requests the hub takes in a window, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from threading import Lock


@dataclass(frozen=True)
class RateLimit:
    """Requests per window; None is no limit. The hub counts its API and its downloads apart.

    Source: Hugging Face, "Hub Rate limits": windows of five minutes, 500 and 3,000 requests without a token.
    """

    api: int | None = None
    resolvers: int | None = None
    window_seconds: float = 300.0


class Counter:
    """Counts requests against a limit, in windows that begin with their first request."""

    def __init__(self, limit: RateLimit, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = Lock()

    def take(self, bucket: str) -> tuple[bool, dict[str, str]]:
        """Count one request: whether it is within the limit, and the headers that tell the state."""
        quota = self._limit.api if bucket == "api" else self._limit.resolvers
        if quota is None:
            return True, {}
        seconds, now = self._limit.window_seconds, self._now()
        with self._lock:
            began, used = self._windows.get(bucket, (now, 0))
            if now >= began + seconds:
                began, used = now, 0
            self._windows[bucket] = (began, used + 1)
        left = max(0, quota - used - 1)
        headers = {
            "RateLimit": f'"{bucket}";r={left};t={ceil(began + seconds - now)}',
            "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w={seconds:.0f}',
        }
        return used < quota, headers
