"""How fast a model answers: tokens a second, as they were measured last, followed slowly."""

MEMORY = 0.7
AFTER_TIMEOUT = 0.5  # of what was asked: how far the answer was from its end, nobody knows


def followed(before: float | None, measured: float) -> float:
    """Return the speed after an answer of a measured one."""
    return round((before or measured) * MEMORY + measured * (1 - MEMORY), 2)


def bounded(before: float | None, *, tokens: int, seconds: float) -> float:
    """Return the speed after a call that was cut off: slower than `tokens` in that time, and never faster than before.

    Without it the next call of that length would be cut off, and paid for, like this one.
    """
    slower = AFTER_TIMEOUT * tokens / max(seconds, 1.0)
    return round(min(before or slower, slower), 2)
