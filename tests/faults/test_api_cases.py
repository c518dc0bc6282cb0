"""The API answers whatever it is sent as its document says; and who asks would notice if it did not."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from schemathesis.engine.recorder import ScenarioRecorder

from tests.faults import hostile_requests
from tests.faults.api_cases import ApiCases, Part, Tally, run
from tests.faults.api_stage import Stage, staged

CASES = 300
SEED = 20_261_121


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as running:
        yield running


def seen(stage: Stage, monkeypatch: pytest.MonkeyPatch, uploads: Any) -> ApiCases:
    """Return what a few cases find where the list of uploads is not what it should be."""
    monkeypatch.setitem(vars(stage.runtime), "viewing", SimpleNamespace(uploads=uploads))
    tally = Tally()
    tally.explore(stage, Part(("coverage",), 1, SEED, operations=("list_uploads",)), 10)
    return tally.result()


def page(**members: Any) -> Any:
    return lambda *_: SimpleNamespace(dump=lambda: {"items": [], "bucket": "b", "prefix": "p", **members})


def test_no_request_meets_a_fault_of_ours_or_gets_an_answer_that_is_not_documented() -> None:
    found = run(CASES, SEED)

    assert found.failures == ()
    assert (found.server_errors, found.schema_breaks) == (0, 0)
    assert (found.cases >= CASES, found.hostile) == (True, CASES // 4)
    assert {200, 202, 403, 404, 409, 415, 422} <= set(found.statuses)


def test_a_request_that_nobody_answered_is_a_failure_and_no_case() -> None:
    recorder, tally = ScenarioRecorder(label="list_uploads"), Tally()
    recorder.record_request(case_id="1", request=requests.Request("GET", "http://127.0.0.1/uploads").prepare())

    tally._count(SimpleNamespace(recorder=recorder))  # type: ignore[arg-type]

    assert tally.result().cases == 0
    assert tally.result().failures == ("no answer: GET http://127.0.0.1/uploads",)


def test_hostile_requests_are_the_same_for_the_same_seed() -> None:
    first, again, other = (list(hostile_requests.requests(50, seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_list_that_is_as_documented_is_not_held_against_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(stage, monkeypatch, page())

    assert (found.server_errors, found.schema_breaks) == (0, 0)
    assert found.cases >= 10


def test_a_view_that_breaks_is_a_server_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(stage, monkeypatch, lambda *_: {}["nothing"]).server_errors > 0


@pytest.mark.parametrize("members", [{"surprise": 1}, {"items": None}, {"bucket": 5}])
def test_a_field_that_is_not_as_documented_is_a_break(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any]
) -> None:
    assert seen(stage, monkeypatch, page(**members)).schema_breaks > 0
