"""What autoscaling did last to something, by which its cooldowns go."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Activity:
    """Times at which scaling was done: the capacity was there, or gone. None before the first."""

    out_at: float | None = None
    in_at: float | None = None
    is_growing: bool | None = None  # what is under way; None where nothing is
    failure: str | None = None  # why the last attempt came to nothing

    def allows(self, now: float, *, grows: bool, cooldown_seconds: float) -> bool:
        """Say whether the cooldown after the last scaling of this kind is over."""
        last = self.out_at if grows else self.in_at
        return self.is_growing is None and (last is None or now >= last + cooldown_seconds)
