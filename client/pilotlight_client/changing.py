"""A change of a few fields, as an update takes it: what is not named stays as it is in the revision there is.

Fields that stand for one another, such as an image and a version, take each other's place; options and variables are
added to those that there are.
"""

from collections.abc import Mapping
from typing import Any, cast

from pilotlight_client.endpoint_views import RevisionView, Sections

_INSTEAD_OF = {"type": "optimize_for", "optimize_for": "type", "image": "version", "version": "image"}
_MERGED_BY_KEY = frozenset({"options", "environment"})


def changed_sections(current: RevisionView, change: Sections) -> Sections:
    """Return the sections of a change of the current revision."""
    before = cast(Mapping[str, Mapping[str, Any]], current)
    wanted = cast(Mapping[str, Mapping[str, Any]], change)
    return cast(Sections, {name: _changed(before.get(name, {}), section) for name, section in wanted.items()})


def _changed(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a change; null sends a field back to its default."""
    replaced = {other: None for field, other in _INSTEAD_OF.items() if field in change and other in before}
    merged = {
        field: {**before.get(field, {}), **value} if field in _MERGED_BY_KEY else value
        for field, value in change.items()
    }
    return {**replaced, **merged}
