"""How amounts are written for a person: money, bytes, spans of time, moments."""

import unicodedata
from datetime import datetime

from pilotlight_client.views import KeepWarm, Money, Progress

_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def money(amount: Money | None, per: str = "") -> str:
    """Return "$27.45/h (estimated)", or a dash where nothing is known."""
    if amount is None:
        return "–"
    usd = amount["usd"]
    digits = 2 if usd == 0 or usd >= 0.1 else 4
    return f"${usd:,.{digits}f}{per} ({amount['basis']})"


def size(count: float) -> str:
    """Return bytes in decimal units: "16.1 GB"."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} bytes"


def staged(progress: Progress) -> str:
    """Return how far staging is: "4.0 GB of 16.1 GB (25 %) at 812.0 MB a second, 15 s left"."""
    told = f"{size(progress['staged_bytes'])} of {size(progress['total_bytes'])} ({progress['percent']:.0f} %)"
    if rate := progress.get("bytes_per_second"):
        told += f" at {size(rate)} a second"
    left = progress.get("seconds_left")
    return told if left is None else f"{told}, {span(left)} left"


def span(seconds: float) -> str:
    """Return a span of time in its two largest units: "4 min 10 s"."""
    whole = round(abs(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def moment(text: str | None, now: datetime) -> str:
    """Return a moment relative to now and absolute in this machine's zone: "in 2 h (2026-11-20 23:59 CET)"."""
    if not text:
        return "–"
    at = datetime.fromisoformat(text)
    seconds = (at - now).total_seconds()
    relative = f"in {span(seconds)}" if seconds > 0 else f"{span(seconds)} ago"
    return f"{relative} ({at.astimezone():%Y-%m-%d %H:%M %Z})"


def due(text: str, now: datetime) -> str:
    """Return when something is to happen; what should have happened already is "due now"."""
    return moment(text, now) if datetime.fromisoformat(text) > now else "due now"


def time_of_day(text: str) -> str:
    """Return a moment's date and time in this machine's zone."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def keep_warm(wanted: KeepWarm) -> str:
    """Return "none", "always" or the windows as they are written on the command line."""
    windows = wanted.get("windows") or []
    written = [f"{w['days']} {w['start']}-{w['end']} {w.get('timezone', 'UTC')}" for w in windows]
    return "; ".join(written) or wanted["policy"]


def keep_artifact(keep: str) -> str:
    """Return for how long weights are kept that nobody uses."""
    after = keep.removeprefix("collect_after:")
    return {"retain": "kept until deleted", "delete": "gone with the last user"}.get(keep, f"kept {after} after use")


def plain(text: str) -> str:
    """Return text without the control characters that could command a terminal."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc")
