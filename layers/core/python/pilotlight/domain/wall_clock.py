"""Wall-clock time of a zone as moments in UTC, also where a change of the clock skips it or repeats it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NOT_OF_THE_DATA_BASE = ("localtime", "posixrules", "posix/", "right/")  # files that lie beside it
_SECOND = timedelta(seconds=1)


def known_zone(name: str) -> str:
    """Return the name of a zone of the IANA data base.

    Raises: ValueError, naming the form. The machine's own zone, and zones that count leap seconds, are none.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise _unknown(name) from exc
    if name.startswith(_NOT_OF_THE_DATA_BASE):
        raise _unknown(name)
    return name


def _unknown(name: str) -> ValueError:
    return ValueError(f"{name[:60]!r} is not a time zone of the IANA data base: write e.g. Europe/Berlin")


def opening(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock in the zone first shows this time, or jumps over it."""
    first, second = _readings(local, zone)
    return _jump(second, first, zone) if first > second else first


def closing(local: datetime, zone: ZoneInfo) -> datetime:
    """Return until when a clock in the zone shows less than this time: its second showing, where there was less again.

    A clock that goes back from 03:00 to 02:00 shows 02:00 twice, but less than 02:00 only before the first.
    """
    first, second = _readings(local, zone)
    if first > second:
        return _jump(second, first, zone)
    return first if first == second or _changes_at(second, zone) else second


def _readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments that a local time means by the rules before and after a change of the clock.

    They are the same almost always; the first is the later one where the clock skips this time.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def _changes_at(moment: datetime, zone: ZoneInfo) -> bool:
    return (moment - _SECOND).astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset()


def _jump(earlier: datetime, later: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between the two at which the zone's clock changes, to the second."""
    after = later.astimezone(zone).utcoffset()
    while later - earlier > _SECOND:
        middle = earlier + (later - earlier) // 2
        if middle.astimezone(zone).utcoffset() == after:
            later = middle
        else:
            earlier = middle
    return later.replace(microsecond=0)
