"""A worker that is killed in the middle of its work changes nothing of how a deployment's life goes."""

from collections import Counter

import pytest

from local.bedrock.warmth import Window
from local.worker_pool import AtWork
from tests.faults.kill_accounts import reloads, unasked, unexplained
from tests.faults.killer import LATEST_SECONDS, MOST_IN_A_ROW, PHASES, Durations, Killer
from tests.faults.kills import run


def test_a_life_among_kills_ends_as_any_other() -> None:
    lived = run(kills=4, seed=3, at_once=1, share=0.6)

    assert lived.violations == 0, lived.examples
    assert lived.kills >= 4
    assert lived.endings == {"SERVING": lived.lives, "GONE": lived.lives}
    assert set(lived.answers) == {"SUCCEEDED"}


ASKED = Counter({"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("generated", "killed", "words"),
    [
        ({"a": 1, "b": 1}, 0, []),
        ({"a": 2, "b": 1}, 1, []),
        ({"a": 2, "b": 1}, 0, ["1 answers too many"]),
        ({"a": 1, "b": 1, "c": 1}, 0, ["1 answers too many"]),
        ({"a": 3, "b": 3}, 3, ["4 answers too many"]),
        ({"a": 1}, 1, ["answers that nobody generated"]),
    ],
)
def test_more_answers_than_calls_are_right_only_where_callers_were_killed(
    generated: dict[str, int], killed: int, words: list[str]
) -> None:
    found = list(unasked(Counter(generated), ASKED, killed))

    assert len(found) == len(words)
    assert all(told.startswith(begin) for told, begin in zip(found, words, strict=True))


class Functions:
    """Implements what the killer asks: one invocation after another, of one function."""

    def __init__(self) -> None:
        self.pid = 0

    def at_work(self) -> list[AtWork]:
        return []


@pytest.fixture
def killer() -> Killer:
    return Killer(Functions(), 7, share=1.0, most=600, often=(), durations=Durations())  # type: ignore[arg-type]


def test_nobody_is_killed_more_often_in_a_row_than_retries_outlast(killer: Killer) -> None:
    fates = [killer._fate(AtWork("seal", number, since=100.0)) for number in range(40)]

    spared = [number for number, fate in enumerate(fates) if fate is None]
    assert spared == list(range(MOST_IN_A_ROW, 40, MOST_IN_A_ROW + 1))
    assert all(100.0 <= fate <= 100.0 + LATEST_SECONDS for fate in fates if fate is not None)


def test_a_kill_may_come_at_any_moment_of_the_time_that_its_function_takes(killer: Killer) -> None:
    for seconds in (2.0, 30.0, 3.0, 3.0, 0.5):
        killer._durations.note("copy", seconds)

    fates = [fate for number in range(200) if (fate := killer._fate(AtWork("copy", number, since=100.0))) is not None]

    assert all(100.0 <= fate <= 103.0 for fate in fates)
    assert {killer._durations.phase("copy", fate - 100.0) for fate in fates} == {*PHASES[:3]}
    assert killer._durations.phase("copy", 4.0) == "later"
    assert killer._durations.phase("seal", LATEST_SECONDS / 4) == "first third"


def test_the_ledger_may_be_beyond_what_was_billed_by_one_window_for_each_killed_caller() -> None:
    more = Counter({("model-1", 1): 1, ("model-2", 1): 1})

    assert list(unexplained(more, 2)) == []
    assert "2 windows more than were billed, and 1 callers killed" in next(unexplained(more, 1))


@pytest.mark.parametrize(
    ("starts", "expected"),
    [((), 0), ((0,), 0), ((0, 300, 600), 0), ((0, 500, 800), 1), ((700, 0, 200), 2)],
)
def test_a_window_that_adjoins_none_tells_of_a_model_that_was_loaded_anew(
    starts: tuple[float, ...], expected: int
) -> None:
    assert reloads([Window("arn", start, start + 300) for start in starts]) == expected
