"""What must hold of endpoints when everything is quiet again: each is owned, each is paid for, none is a stranger's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.s3.models import s3_backends

from local.identity import ACCOUNT_ID, REGION
from local.sagemaker.resources import Resource, Status, Uptime
from tests.faults import table_records, uptimes
from tests.faults.product import STACK
from tests.faults.stack import Stack
from tests.faults.workflows import Visit

ALIVE = ("CREATING", "WARMING", "SERVING")
OVER = (None, "GONE")
ALARMS = ("-from-zero", "-failures")
BUNDLE = re.compile(r"bundles/(?P<name>[a-z0-9-]+)-g(?P<generation>\d+)/")
Records = dict[str, dict[str, Any]]


def everything(stack: Stack) -> set[str]:
    """Give all that there is of endpoints, also what scales them and watches them: kinds and names."""
    found = {f"{kind} {each.name}" for kind, each in _held(stack)}
    return found | {f"target {each}" for each in _targets()} | {f"alarm {each}" for each in _alarms()}


def of_strangers(stack: Stack) -> set[str]:
    """Give what of it is not ours: by its tags, or by those of the endpoint that it scales or watches."""
    known = stack.records("DEPLOYMENT")
    theirs = {(kind, each.name) for kind, each in _held(stack) if not _is_ours(each.tags, known)}
    endpoints = [name for kind, name in theirs if kind == "endpoint"]
    found = {f"{kind} {name}" for kind, name in theirs}
    found |= {f"target {each}" for each in _targets() if each.split("/")[1] in endpoints}
    return found | {
        f"alarm {name}{suffix}" for name in endpoints for suffix in ALARMS if f"{name}{suffix}" in _alarms()
    }


def _held(stack: Stack) -> list[tuple[str, Resource]]:
    state = stack.hosting.service.state
    kinds: dict[str, dict[str, Any]] = {
        "endpoint": state.endpoints,
        "endpoint config": state.configs,
        "model": state.models,
        "component": state.components,
    }
    return [(kind, each) for kind, things in kinds.items() for each in things.values()]


def _is_ours(tags: dict[str, str], known: Records) -> bool:
    return tags.get("pilotlight:stack") == STACK and tags.get("pilotlight:deployment") in known


def wrong(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield what is not as it must be."""
    records = stack.records("DEPLOYMENT")
    yield from (f"deleted a stranger's {each}" for each in sorted(visit.hosted_strangers - everything(stack)))
    for look in (_things_without_owner, _scaling_without_endpoint, _bundles, _revisions, _running, _serving):
        yield from look(stack, visit, records)
    yield from _submitted(stack, visit)
    yield from stack.launches.wrong
    yield from uptimes.wrong(stack)
    if not stack.seam.met:
        yield from uptimes.too_much(stack)


def _owner(tags: dict[str, str], records: Records) -> dict[str, Any] | None:
    """Give the record of the very generation that has something, None where it is over."""
    record = records.get(tags.get("pilotlight:deployment", ""), {})
    same = str(record.get("generation")) == tags.get("pilotlight:generation")
    return record if same and record["status"] not in OVER else None


def _things_without_owner(stack: Stack, visit: Visit, records: Records) -> Iterator[str]:
    for kind, each in _held(stack):
        if f"{kind} {each.name}" in visit.hosted_strangers:
            continue
        owner = _owner(each.tags, records)
        if owner is None:
            yield f"{kind} {each.name} has no owner"
        elif kind == "endpoint" and owner["status"] not in ALIVE:
            yield f"endpoint {each.name} is there, and its deployment is {owner['status']}"
        elif kind != "endpoint" and not _is_kept(stack, owner, each.tags.get("pilotlight:revision", "")):
            yield f"{kind} {each.name} is of a revision that nobody knows"


def _is_kept(stack: Stack, owner: dict[str, Any], number: str) -> bool:
    kept = table_records.beside(stack.outputs["TableName"], owner["name"], "REVISION")
    return any(str(each["number"]) == number and each["generation"] == owner["generation"] for each in kept)


def _scaling_without_endpoint(stack: Stack, visit: Visit, records: Records) -> Iterator[str]:
    """Yield what scales or watches an endpoint that is not there."""
    there = {each.name for kind, each in _held(stack) if kind in ("endpoint", "component")}
    named = [("target", each) for each in _targets()] + [("alarm", each) for each in _alarms()]
    for kind, name in named:
        if f"{kind} {name}" in visit.hosted_strangers:
            continue
        of = name.split("/")[1] if kind == "target" else name
        if not any(of == each or of.removesuffix(suffix) == each for each in there for suffix in ALARMS):
            yield f"{kind} {name} is left of an endpoint that is not there"


def _targets() -> list[str]:
    backend = applicationautoscaling_backends[ACCOUNT_ID][REGION]
    return [each.resource_id for held in backend.targets.values() for each in held.values()]


def _alarms() -> list[str]:
    """Give the alarms of endpoints by name; those of target tracking go with their policies."""
    return [name for name in cloudwatch_backends[ACCOUNT_ID][REGION].alarms if name.endswith(ALARMS)]


def _bundles(stack: Stack, _: Visit, records: Records) -> Iterator[str]:
    for key in dict.keys(s3_backends[ACCOUNT_ID]["aws"].buckets[stack.artifact_bucket].keys):
        if found := BUNDLE.match(key):
            record = records.get(found["name"], {})
            if record.get("status") in OVER or str(record["generation"]) != found["generation"]:
                yield f"bundle {key} has no owner"


def _revisions(stack: Stack, _: Visit, records: Records) -> Iterator[str]:
    """Yield revisions of generations that are over, and marks of calls that are."""
    calls = stack.records("INVOCATION")
    for name, record in records.items():
        for each in table_records.beside(stack.outputs["TableName"], name, "REVISION"):
            if record["status"] in OVER or each["generation"] != record["generation"]:
                yield f"revision {each['number']} of {name} generation {each['generation']} is left"
        for mark in table_records.beside(stack.outputs["TableName"], name, "PENDING"):
            call = calls.get(str(mark["sk"]).rpartition("#")[2], {})
            is_over = call.get("status") in (None, "SUCCEEDED", "FAILED")
            if is_over and not (record["status"] in OVER and _could_not_be_removed(stack)):
                yield f"a call of {name} that is over is counted still"


def _could_not_be_removed(stack: Stack) -> bool:
    """Give whether the table refused to delete: of a generation that is over a mark goes with its call, after days."""
    return any("dynamodb.DeleteItem" in met for met in stack.seam.met)


def _running(stack: Stack, visit: Visit, records: Records) -> Iterator[str]:
    """Yield instances that are paid for, for nobody; and more of them at once than there may be."""
    for name, record in records.items():
        for generation in range(1, int(record["generation"]) + 1):
            times = uptimes.billed(stack, name, generation)
            alive = record["status"] in ALIVE and generation == record["generation"]
            if not alive and any(each.end is None for each in times):
                yield f"an instance of {name} generation {generation} runs on, and it is {record['status']}"
            told = record.get("endpoint") or {}
            most = max(int((told.get("scaling") or {}).get("max", 1)), 1) * (2 if told.get("updates") else 1)
            if (at_once := _most_at_once(times)) > most and generation == record["generation"]:
                yield f"{at_once} instances of {name} ran at once, of {most}"


def _most_at_once(times: list[Uptime]) -> int:
    moments = sorted([(each.start, 1) for each in times] + [(each.end, -1) for each in times if each.end is not None])
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    return most


def _serving(stack: Stack, _: Visit, records: Records) -> Iterator[str]:
    """Yield deployments that wait for ever, and that say that they serve where their endpoint says otherwise."""
    for name, record in records.items():
        told = record.get("endpoint")
        if not told:
            continue
        if told.get("waiting"):
            yield f"a task waits for the endpoint of {name} for ever"
        if told.get("update"):
            yield f"{name} is being updated for ever"
        if record["status"] == "SERVING" and (why := _contradiction(stack, told)):
            yield f"{name} is SERVING, and {why}"


def _contradiction(stack: Stack, told: dict[str, Any]) -> str | None:
    """Give what the service has otherwise than the record of a deployment that serves."""
    held = stack.hosting.service.state.endpoints.values()
    endpoint = next((each for each in held if each.name == told["name"]), None)
    if endpoint is None:
        return None if told.get("parked") and not told.get("exists") else "its endpoint is not there"
    if told.get("parked") or not told.get("exists"):
        return f"is said to be parked, where its endpoint is {endpoint.status}"
    if endpoint.status is not Status.IN_SERVICE:
        return f"its endpoint is {endpoint.status}"
    is_of_it = endpoint.config.name == f"{told['name']}-v{told['revision']}"
    return None if is_of_it else f"runs {endpoint.config.name}, where its record has revision {told['revision']}"


def _submitted(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield calls that an endpoint was handed more often than faults explain."""
    counts = Counter(stack.launches.submitted)
    again = sum(count - 1 for count in counts.values())
    if visit.withstood and again > visit.may_ask_again:
        yield f"calls were handed over {again} times more than once: {dict(counts)}"
