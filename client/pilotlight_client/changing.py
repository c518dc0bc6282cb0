"""A change of a few fields, made whole: an update replaces the sections that it names.

What is not said stays as it is in the revision there is. Fields that stand for one another, such as an instance's type
and what a proposed one shall be best at, replace one another.
"""

from collections.abc import Mapping
from typing import Any, cast

from pilotlight_client.endpoint_views import EndpointView, RevisionView, Sections, SettledScaling

REALTIME = "sagemaker-realtime"
_INSTEAD_OF = {"type": "optimize_for", "optimize_for": "type", "image": "version", "version": "image"}
_MERGED_BY_KEY = frozenset({"options", "environment"})


def changed_sections(current: RevisionView, endpoint: EndpointView, backend: str, change: Sections) -> Sections:
    """Return the sections of a change, each with what stays of the current revision's, and of its bounds by now."""
    before: dict[str, Mapping[str, Any]] = {
        "instance": current["instance"],
        "scaling": _as_it_is_written(current["scaling"], endpoint, backend),
        "serving": current["serving"],
        "container": current["container"],
    }
    wanted = cast(Mapping[str, Mapping[str, Any]], change)
    return cast(Sections, {name: _merged(before[name], section) for name, section in wanted.items()})


def _merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    replaced = {other for field, other in _INSTEAD_OF.items() if field in change}
    merged = {field: value for field, value in before.items() if field not in replaced}
    for field, value in change.items():
        merged[field] = {**merged.get(field, {}), **value} if field in _MERGED_BY_KEY else value
    return merged


def _as_it_is_written(scaling: SettledScaling, endpoint: EndpointView, backend: str) -> dict[str, Any]:
    """Return settled scaling as a request says it: its target has a name of its own in each backend.

    Bounds may have changed since the revision was made. A usual `initial` is left out: said, it would be a change.
    """
    target = "invocations_per_instance" if backend == REALTIME else "backlog_per_instance"
    written: dict[str, Any] = {target if field == "target" else field: value for field, value in scaling.items()}
    if written.get("initial") == max(1, written["min"]):
        del written["initial"]
    written |= {"min": endpoint["min"], "max": endpoint["max"]}
    return {field: value for field, value in written.items() if value is not None}
