"""The API under every request that docs/openapi.json allows, and under those that it does not: schemathesis.

Its engine covers boundaries and unexpected methods, generates valid and invalid data, and walks the document's links
from what it created to what can be done with it. The document is closed (tests.documented): a field nobody told of
is a break. Where a request keeps its schema and is refused all the same, the rule must be one that no schema tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, get_args

import schemathesis
from pydantic_core.core_schema import ErrorType
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema

from tests.documented import document
from tests.faults import hostile_requests
from tests.faults.api_stage import INVOCATIONS, NAMES, SOURCES, Stage, staged

# The shares of the phases in a run: the first knows its own number, the last two go on until there are enough.
MOST_EXAMPLES = 60
STATEFUL_SHARE = 8
HOSTILE_SHARE = 4
STRUCTURAL = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error"}
"""Rules of pydantic that a schema tells as well as it does: whoever keeps the schema breaks none of them."""

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "a_schema_tells_every_structural_rule",
)
SCHEMA_CHECKS = {*CHECKS, "hostile"} - {"not_a_server_error"}


@dataclass(frozen=True)
class ApiCases:
    """What a run came to: schemathesis's cases, and requests of our own that no document describes.

    `failures` says of each break where, what and how to see it again.
    """

    cases: int
    hostile: int
    server_errors: int
    schema_breaks: int
    statuses: dict[int, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


@schemathesis.check
def a_schema_tells_every_structural_rule(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Fail where a request that keeps its schema is refused for a rule that the schema should have told."""
    told_by_us = "application/problem+json" in response.headers.get("content-type", [""])[0]
    if not (case.meta and case.meta.generation.mode.is_positive and told_by_us):
        return
    if response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE):
        raise AssertionError(f"A valid request was refused: {response.text[:300]}")
    broken = {error["rule"] for error in response.json().get("errors", [])} & STRUCTURAL
    if broken:
        raise AssertionError(f"The schema does not tell the rules {sorted(broken)}: {response.text[:300]}")


def run(cases: int, seed: int) -> ApiCases:
    """Send at least so many cases, and a quarter as many hostile requests, and return what became of them.

    The same seed sends the same, but for what the API itself gives by chance: ids and moments.
    """
    tally = Tally()
    for part in _parts(cases, seed):
        with staged() as stage:  # a new one each time: moto's transactions copy whole tables, which grow
            tally.explore(stage, part, cases)
        if tally.cases >= cases:
            break
    with staged() as stage:
        tally.provoke(stage, cases // HOSTILE_SHARE, seed)
    return tally.result()


@dataclass(frozen=True)
class Part:
    """One run of the engine: which phases, how many examples of each operation, from which seed.

    `operations` are all where there is none.
    """

    phases: tuple[str, ...]
    examples: int
    seed: int
    operations: tuple[str, ...] = ()


def _parts(cases: int, seed: int) -> Iterator[Part]:
    """Yield runs until the caller has enough: first every phase once, then chance alone."""
    operations = sum(len(each) for each in document()["paths"].values())
    examples = max(1, min(MOST_EXAMPLES, cases // (2 * operations)))
    yield Part(("examples", "coverage", "fuzzing", "stateful"), examples, seed)
    number = 0
    while True:
        number += 1
        yield Part(("fuzzing", "stateful"), examples, seed + 1_000 * number)


class Tally:
    """Runs the engine, and counts what it did and found."""

    def __init__(self) -> None:
        self.cases = 0
        self.hostile = 0
        self.statuses: dict[int, int] = {}
        self.broken: dict[str, int] = {}
        self.failures: list[str] = []

    def explore(self, stage: Stage, part: Part, enough: int) -> None:
        """Run one part, until it is over or there are enough cases."""
        schema = schemathesis.openapi.from_dict(document(), config=_config(stage.gateway.url, part))
        for operation in part.operations:
            schema = schema.include(operation_id=operation)
        stream = from_schema(schema).execute()
        for event in stream:
            if isinstance(event, events.ScenarioFinished):
                self._count(event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                self.failures.append(f"the engine: {event}")
            if self.cases >= enough:
                stream.stop()

    def provoke(self, stage: Stage, count: int, seed: int) -> None:
        """Send what no document describes."""
        for request in hostile_requests.requests(count, seed):
            answer = hostile_requests.send(stage.gateway.url, request)
            self.hostile += 1
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            for broken in answer.broken:
                self.broken["hostile"] = self.broken.get("hostile", 0) + 1
                self.failures.append(f"{broken}\n    {request}")

    def _count(self, event: events.ScenarioFinished) -> None:
        for interaction in event.recorder.interactions.values():
            if interaction.response is None:
                asked = interaction.request
                self.failures.append(f"no answer: {asked.method} {asked.uri}")
                continue
            self.cases += 1
            status = interaction.response.status_code
            self.statuses[status] = self.statuses.get(status, 0) + 1
        for checks in event.recorder.checks.values():
            for check in checks:
                if check.failure_info:
                    self.broken[check.name] = self.broken.get(check.name, 0) + 1
                    self._tell(check.name, check.failure_info.failure, check.failure_info.code_sample)

    def _tell(self, name: str, failure: Failure, sample: str) -> None:
        told = " ".join(f"{failure.operation}: {name}: {failure}".split())
        self.failures.append(f"{told[:600]}\n    {sample[:600]}")

    def result(self) -> ApiCases:
        """Return what was counted."""
        return ApiCases(
            cases=self.cases,
            hostile=self.hostile,
            server_errors=sum(count for status, count in self.statuses.items() if status >= 500),
            schema_breaks=sum(count for name, count in self.broken.items() if name in SCHEMA_CHECKS),
            statuses=dict(sorted(self.statuses.items())),
            failures=tuple(self.failures),
        )


def _config(url: str, part: Part) -> schemathesis.Config:
    """Return the engine's settings; half of the names and sources that it gives are those of what there is."""
    phases: dict[str, Any] = {
        name: {"enabled": name in part.phases} for name in ("examples", "coverage", "fuzzing", "stateful")
    }
    phases["stateful"]["generation"] = {"max-examples": max(1, part.examples // STATEFUL_SHARE)}
    return schemathesis.Config.from_dict(
        {
            "seed": part.seed,
            "workers": 1,
            "continue-on-failure": True,
            "base-url": url,
            "dictionaries": {
                "names": {"values": list(NAMES)},
                "ids": {"values": list(INVOCATIONS.values())},
                "sources": {"values": list(SOURCES)},
                "zones": {"values": ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/Sao_Paulo"]},
            },
            "parameters": {
                "path.name": {"dictionary": "names", "probability": 0.5},
                "path.invocation_id": {"dictionary": "ids", "probability": 0.5},
                "body.source": {"dictionary": "sources", "probability": 0.5},
                "body.keep_warm.windows[*].timezone": {"dictionary": "zones", "probability": 0.8},
            },
            "generation": {
                "max-examples": part.examples,
                "no-shrink": True,
                "database": "none",
                "with-security-parameters": False,
            },
            "phases": phases,
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
        }
    )
