"""A queued invocation is answered once, however often its message comes, and ends with a reason when it cannot be."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import InvocationFailed, InvocationTimedOut, Throttled, Unavailable
from pilotlight.domain.invocation import InvocationStatus

from tests.factories import a_question
from tests.world import IDLE


@pytest.fixture
def queued(world):
    """Return a world in which one invocation waits for a cold model."""
    world.bring(Status.SERVING)
    world.clock.advance(seconds=IDLE.total_seconds() + 1)
    world.invoking.invoke("llama", a_question(), wait_seconds=0, correlation_id="c-ask")
    return world


def record(world):
    (invocation,) = world.invocations.shelf.all()
    return invocation


def run(world, receipt="r-1", receives=1):
    return world.queue_work.run(record(world).id, receipt=receipt, receives=receives)


def test_an_invocation_is_answered_and_its_output_kept(queued):
    assert run(queued)

    assert (record(queued).status, record(queued).attempts) == (InvocationStatus.SUCCEEDED, 1)
    assert queued.bodies.get_output(record(queued).id)["text"] == "Because of Rayleigh scattering."
    assert [entry["status"] for entry in queued.journal.invocations] == ["SUCCEEDED"]


def test_a_second_delivery_of_an_answered_invocation_does_nothing(queued):
    run(queued)

    assert run(queued)

    assert len(queued.backend.prompts) == 1
    assert len(queued.journal.invocations) == 1


def test_a_second_delivery_while_another_worker_is_at_it_waits(queued):
    def deliver_again():
        assert run(queued, "r-2") is False

    queued.invocations.shelf.meanwhile.extend([lambda: None, deliver_again])

    assert run(queued)

    assert len(queued.backend.prompts) == 1
    assert [receipt for receipt, _ in queued.queue.hidden] == ["r-2"]


def test_two_workers_that_race_for_the_claim_answer_once(queued):
    queued.invocations.shelf.meanwhile.append(lambda: run(queued, "r-2"))

    assert run(queued, "r-1") is False

    assert len(queued.backend.prompts) == 1
    assert record(queued).status is InvocationStatus.SUCCEEDED


def test_a_worker_that_died_is_followed_by_another_when_its_claim_is_over(queued):
    queued.backend.refusals.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(queued)
    assert run(queued) is False
    queued.clock.advance(seconds=901)

    assert run(queued)

    assert (record(queued).status, record(queued).attempts) == (InvocationStatus.SUCCEEDED, 2)


def test_a_model_that_is_not_ready_lets_the_message_come_back_and_makes_sure_of_one_wake(queued):
    queued.backend.cold_for = 2
    wakes = len(queued.executions.of("warm"))

    assert run(queued, receives=1) is False
    assert run(queued, receives=10) is False

    assert (record(queued).status, record(queued).claimed_until) == (InvocationStatus.QUEUED, None)
    assert queued.queue.hidden == [("r-1", 5), ("r-1", 26)]
    assert len(queued.executions.of("warm")) == wakes, "the one that the caller began is under way"
    assert run(queued)
    assert record(queued).was_cold


def test_a_model_that_does_not_load_rests_between_wakes_however_often_the_message_comes(queued):
    queued.backend.cold_for = 1_000
    queued.run_wake()
    wakes = len(queued.executions.of("warm"))

    for _ in range(3):
        assert run(queued) is False

    assert len(queued.executions.of("warm")) == wakes
    assert "The last wake ended without an answer: the model is woken again at" in record(queued).waiting_for

    queued.clock.advance(seconds=61)
    assert run(queued) is False
    assert len(queued.executions.of("warm")) == wakes + 1
    assert record(queued).waiting_for is None


def test_a_wake_that_cannot_be_begun_now_does_not_hold_the_invocation(queued):
    queued.backend.cold_for = 1
    queued.executions.refusals.append(Throttled("slow down"))

    assert run(queued) is False

    assert record(queued).status is InvocationStatus.QUEUED
    assert run(queued)


@pytest.mark.parametrize("refusal", [Throttled("slow down"), Unavailable("no answer")])
def test_a_fault_that_passes_lets_the_message_come_back(queued, refusal):
    queued.backend.refusals.append(refusal)

    assert run(queued) is False
    assert run(queued)

    assert record(queued).status is InvocationStatus.SUCCEEDED


def test_while_answers_cannot_be_kept_none_is_generated_again(queued, monkeypatch):
    def slow_down(*_):
        raise Throttled("slow down")

    with monkeypatch.context() as broken:
        broken.setattr(queued.bodies, "put_output", slow_down)
        broken.setattr(queued.bodies, "reserve_output", slow_down)
        assert [run(queued) for _ in range(5)] == [False] * 5
    in_vain = len(queued.backend.prompts)

    assert run(queued)

    assert in_vain == 1, "nobody knows before the first time"
    assert record(queued).status is InvocationStatus.SUCCEEDED
    assert queued.invoking.view(record(queued).id).output.text == "Because of Rayleigh scattering."


def test_a_place_that_was_tried_is_no_answer(queued, monkeypatch):
    def slow_down(*_):
        raise Throttled("slow down")

    with monkeypatch.context() as broken:
        broken.setattr(queued.bodies, "put_output", slow_down)
        assert [run(queued), run(queued)] == [False, False]

    assert run(queued)
    assert queued.invoking.view(record(queued).id).output.text == "Because of Rayleigh scattering."


def test_a_question_that_waits_for_its_model_is_written_once_and_does_not_age_anew(queued):
    queued.backend.cold_for = 3
    since = dict(queued.bodies.kept_since)

    for _ in range(3):
        queued.clock.advance(minutes=1)
        assert run(queued) is False

    assert queued.bodies.kept_since == since
    assert queued.bodies.outputs == {}


def test_a_fault_after_the_answer_does_not_make_the_model_generate_again(queued):
    def table_is_away(*_):
        raise Unavailable("the table is away")

    kept = queued.deployments.open_window
    queued.deployments.open_window = table_is_away
    assert run(queued) is False
    queued.deployments.open_window = kept
    answered_at = queued.clock.now()
    queued.clock.advance(minutes=1)

    assert run(queued)

    assert len(queued.backend.prompts) == 1
    over = record(queued)
    assert (over.status, over.latency_ms, over.usage.output_tokens) == (InvocationStatus.SUCCEEDED, 1000, 40)
    assert over.ended_at == answered_at
    assert over.cost.usd > 0


def test_an_answer_that_was_given_before_its_deployment_went_is_not_lost(queued):
    queued.invocations.shelf.meanwhile.extend([lambda: None, lambda: queued.bring(Status.GONE)])
    save = queued.invocations.save

    def save_once_in_vain(before, after):
        if after.status is InvocationStatus.SUCCEEDED:
            queued.invocations.save = save
            raise Unavailable("the table is away")
        return save(before, after)

    queued.invocations.save = save_once_in_vain
    assert run(queued) is False
    assert queued.status() is Status.GONE

    assert run(queued)

    assert queued.invoking.view(record(queued).id).output.text == "Because of Rayleigh scattering."
    assert len(queued.backend.prompts) == 1


def test_a_call_that_cannot_succeed_fails_with_its_reason(queued):
    queued.backend.refusals.append(InvocationFailed("the model ran out of memory"))

    assert run(queued)

    view = queued.invoking.view(record(queued).id)
    assert (view.status, view.output) == (InvocationStatus.FAILED, None)
    assert view.error == {"code": "invocation-failed", "message": "the model ran out of memory"}
    assert [entry["error_code"] for entry in queued.journal.invocations] == ["invocation-failed"]


def test_a_call_that_was_cut_off_fails_and_is_entered_in_the_ledger(queued):
    windows = queued.deployments.latest_window("llama", 1).ordinal
    queued.backend.refusals.append(InvocationTimedOut("it took too long"))

    assert run(queued)

    assert record(queued).error_code == "invocation-timed-out"
    assert queued.deployments.latest_window("llama", 1).ordinal == windows + 1


def test_a_failure_is_kept_without_the_backends_own_words(queued):
    queued.backend.refusals.append(InvocationFailed("Bedrock refused the call.", told="not this: the vault's code"))

    assert run(queued)

    assert record(queued).error_message == "Bedrock refused the call."
    assert "vault" not in str(record(queued).dump()) + queued.journal.everything()


def test_an_expired_invocation_fails_and_is_not_answered(queued):
    queued.clock.advance(hours=6)

    assert run(queued)

    assert (record(queued).status, record(queued).error_code) == (InvocationStatus.FAILED, "deadline-passed")
    assert queued.backend.prompts == []


def test_a_question_that_is_no_longer_kept_fails(queued):
    queued.bodies.requests.clear()

    assert run(queued)

    assert record(queued).error_code == "not-found"


@pytest.mark.parametrize(("to", "code"), [(Status.TEARING_DOWN, "not-serving"), (Status.GONE, "not-serving")])
def test_a_deployment_that_went_meanwhile_fails_its_questions(queued, to, code):
    queued.bring(to)

    assert run(queued)

    assert record(queued).error_code == code


def test_a_question_to_an_older_generation_is_not_answered_by_a_newer_one(queued):
    queued.bring(Status.GONE)
    queued.bring(Status.SERVING)

    assert run(queued)

    assert (record(queued).status, record(queued).error_code) == (InvocationStatus.FAILED, "superseded")


def test_a_dead_letter_becomes_a_failure_that_can_be_read(queued):
    queued.queue_work.fail(record(queued).id, "tried as often as the queue allows")

    assert record(queued).error_message == "tried as often as the queue allows"


def test_a_dead_letter_of_an_answered_invocation_changes_nothing(queued):
    run(queued)

    queued.queue_work.fail(record(queued).id, "late")

    assert record(queued).status is InvocationStatus.SUCCEEDED


def test_an_output_that_has_expired_is_absent_and_the_record_stays(queued):
    run(queued)
    queued.bodies.outputs.clear()
    queued.clock.advance(days=8)

    view = queued.invoking.view(record(queued).id)

    assert (view.status, view.output) == (InvocationStatus.SUCCEEDED, None)
    assert view.ended_at < queued.clock.now() - timedelta(days=7)
