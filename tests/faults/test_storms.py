"""Many events, callers and orders of things: each version starts once, a name has one winner, no call is lost."""

from collections.abc import Iterator

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import NameTaken

from tests.factories import a_question
from tests.faults import races
from tests.faults.ground import Ground
from tests.faults.turns import Interrupted, Turns
from tests.faults.upload_storm import ROUNDS, storm

CALLERS = 24


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground() as running:
        yield running


def test_of_many_who_ask_for_a_name_at_once_one_wins_and_all_others_are_told_who_holds_it(ground: Ground) -> None:
    race = races.deploys(ground, "wanted", CALLERS, lambda number: f"key-{number}")

    assert (race.winners, race.conflicts, race.odd) == (1, CALLERS - 1, 0)
    assert (race.records, race.executions) == (1, 1)


def test_the_same_request_from_many_at_once_is_one_and_has_one_answer(ground: Ground) -> None:
    race = races.deploys(ground, "repeated", CALLERS, lambda _: "one-key")

    assert (race.winners, race.answers) == (CALLERS, 1)
    assert (race.records, race.executions) == (1, 1)


def test_each_version_that_comes_to_rest_in_a_storm_of_events_is_started_once(ground: Ground) -> None:
    passed = storm(ground, events=250, seed=5, scan=ground.scan())

    assert (passed.missed, passed.doubled) == (0, 0), passed.examples
    assert passed.started == passed.versions
    assert passed.versions % ROUNDS == 0
    assert passed.events >= 250
    assert passed.lost > 0


def test_no_call_is_lost_when_its_model_is_taken_away() -> None:
    race = races.calls(120, seed=3)

    assert race.lost == 0, race.examples
    assert race.calls == 120 * races.CALLERS == race.ends.total()
    assert race.ends.keys() == races.ENDS


def test_a_call_whose_message_is_lost_is_seen_to_be() -> None:
    world = races.RacingWorld(1)
    world.bring(Status.SERVING)
    world.clock.advance(minutes=10)
    given = world.invoking.invoke("llama", a_question(), wait_seconds=0, correlation_id="c")

    world.queue.messages.clear()
    races._let_it_settle(world)

    assert races._end_of(world, given) is None
    assert races._end_of(world, NameTaken("taken")) == "name-taken"


def test_turns_are_taken_in_an_order_that_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        turns, taken = Turns(seed), []
        port = Interrupted([], turns)

        def actor(name: str) -> None:
            for _ in range(3):
                port.append(name)
                taken.append(name)

        turns.run([lambda name=name: actor(name) for name in "abc"])  # type: ignore[misc]
        return taken

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(8)}) > 4
    assert sorted(order(2)) == sorted("abcabcabc")
