"""A warm model answers at once; everything else is a record, a message and one wake, and never a lost question."""

import pytest
from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    AccessDenied,
    InvalidInput,
    InvocationFailed,
    InvocationTimedOut,
    ModelNotReady,
    NotFound,
    NotServing,
    QueueFull,
    Throttled,
    UnsupportedParameter,
)
from pilotlight.domain.invocation import ChatMessage, InvocationStatus, Parameters
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.spending import SpendCeiling
from pilotlight.services.invocation_views import RETRY_AFTER_SECONDS

from tests.factories import a_question, some_facts
from tests.world import IDLE, LIMITS, QUEUE_DEPTH

SECRET = "the vault's code is 4711"


@pytest.fixture
def serving(world):
    """Return a world whose model is warm, and has told its speed by an earlier answer."""
    world.bring(Status.SERVING)
    world.accounting.answered(world.deployment(), world.clock.now(), WindowOpener.INVOCATION, tokens_per_second=40.0)
    return world


@pytest.fixture
def cold(serving):
    serving.clock.advance(seconds=IDLE.total_seconds() + 1)
    serving.backend.cold_for = 3
    return serving


def invoke(world, request=None, *, wait=0.0):
    return world.invoking.invoke("llama", request or a_question(), wait_seconds=wait, correlation_id="c-ask")


def work(world):
    """Let a worker take the oldest message of the queue."""
    invocation_id, _ = world.queue.messages[0]
    if world.queue_work.run(invocation_id, receipt="r"):
        world.queue.messages.pop(0)


def facts(world, found: ModelFacts):
    artifact = world.artifact()
    world.artifacts.shelf.write(artifact.id, artifact.changed(facts=found), artifact.version)


# ---- a warm model ----------------------------------------------------------------------------------------------


def test_a_warm_model_answers_at_once_with_everything_that_is_known(serving):
    view = invoke(serving)

    assert (view.status, view.was_cold, view.retry_after_seconds) == (InvocationStatus.SUCCEEDED, False, None)
    assert (view.output.text, view.output.stop_reason) == ("Because of Rayleigh scattering.", "stop")
    assert (view.usage.output_tokens, view.latency_ms) == (40, 1000)
    assert view.cost.usd == 0, "the window that the first probe opened pays for it"
    assert serving.queue.messages == []


def test_the_prompt_goes_through_the_models_own_template(serving):
    invoke(serving)
    messages = (ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="Hi"))
    invoke(serving, a_question(prompt=None, messages=messages))

    assert serving.backend.prompts == [
        "<s><|user|>Why is the sky blue?<|assistant|>",
        "<s><|system|>Be kind.<|user|>Hi<|assistant|>",
    ]


def test_a_raw_prompt_goes_as_it_is(serving):
    invoke(serving, a_question("as it is", raw=True))

    assert serving.backend.prompts == ["as it is"]


def test_a_model_without_a_template_takes_prompts_and_refuses_messages(serving):
    facts(serving, some_facts(chat_template=None))

    assert invoke(serving, a_question("plain")).status is InvocationStatus.SUCCEEDED
    assert serving.backend.prompts == ["plain"]
    with pytest.raises(InvalidInput, match="no chat template"):
        invoke(serving, a_question(prompt=None, messages=(ChatMessage(role="user", content="Hi"),)))


def test_messages_that_the_template_refuses_are_refused_before_anything_is_queued(cold):
    facts(cold, some_facts(chat_template="refuse"))

    with pytest.raises(InvalidInput, match="refuses these messages"):
        invoke(cold)

    assert cold.queue.messages == []


def test_reasoning_is_apart_from_the_answer_also_where_the_template_opened_it(serving):
    facts(serving, some_facts(chat_template="… <think>"))
    serving.backend.says = "Light scatters.</think>Blue scatters most."

    output = invoke(serving).output

    assert (output.reasoning, output.text) == ("Light scatters.", "Blue scatters most.")


def test_parameters_reach_the_backend_as_they_were_given(serving):
    wanted = Parameters(max_tokens=100, temperature=0.5, stop=("END",), seed=7)

    invoke(serving, a_question(parameters=wanted))

    assert serving.backend.asked == [wanted]


@pytest.mark.parametrize("parameters", [{"top_k": 5}, {"repetition_penalty": 1.1}, {"top_k": 5, "temperature": 1}])
def test_a_parameter_that_the_backend_would_ignore_is_named_and_refused(serving, parameters):
    with pytest.raises(UnsupportedParameter) as caught:
        invoke(serving, a_question(parameters=Parameters(**parameters)))

    name = next(iter(parameters))
    assert name in caught.value.message
    assert (caught.value.http_status, caught.value.detail["field"]) == (422, f"parameters.{name}")
    assert serving.backend.prompts == []


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.WARMING, Status.FAILED, Status.TEARING_DOWN, Status.GONE])
def test_what_does_not_serve_says_so(world, status):
    world.bring(status)

    with pytest.raises(NotServing):
        invoke(world)


def test_a_call_that_the_backend_broke_is_told_and_recorded(serving):
    serving.backend.refusals.append(InvocationFailed("the model ran out of memory"))

    with pytest.raises(InvocationFailed):
        invoke(serving)

    (record,) = serving.journal.invocations
    assert (record["status"], record["error_code"]) == ("FAILED", "invocation-failed")


def test_an_answer_that_does_not_fit_is_queued_though_the_model_is_warm(serving):
    wakes = len(serving.executions.of("warm"))

    view = invoke(serving, a_question(parameters=Parameters(max_tokens=50_000)))

    assert (view.status, view.was_cold) == (InvocationStatus.QUEUED, False)
    assert len(serving.executions.of("warm")) == wakes, "it is warm: nobody has to be woken"
    work(serving)
    assert serving.invoking.view(view.id).output.text == "Because of Rayleigh scattering."


def test_a_short_answer_of_a_model_of_unknown_speed_comes_at_once(world):
    world.bring(Status.SERVING)

    assert invoke(world, a_question(parameters=Parameters(max_tokens=100))).status is InvocationStatus.SUCCEEDED


def test_a_long_answer_of_a_model_of_unknown_speed_is_queued_and_measures_it(world):
    world.bring(Status.SERVING)

    first = invoke(world)
    work(world)
    second = invoke(world)

    assert (first.status, first.was_cold) == (InvocationStatus.QUEUED, False)
    assert second.status is InvocationStatus.SUCCEEDED


def test_a_call_that_was_cut_off_is_told_what_to_do_and_the_next_like_it_is_queued(serving):
    def cut_off(*_args, **_options):
        serving.clock.advance(seconds=20)
        raise InvocationTimedOut("send it again")

    complete, serving.backend.complete = serving.backend.complete, cut_off
    with pytest.raises(InvocationTimedOut) as caught:
        invoke(serving)
    serving.backend.complete = complete

    again = invoke(serving)

    assert caught.value.http_status == 504
    assert serving.queue.messages == [(again.id, "c-ask")]
    assert again.was_cold is False
    assert serving.deployments.latest_window("llama", 1).last_answer_at > serving.deployment().created_at
    assert [record["error_code"] for record in serving.journal.invocations] == ["invocation-timed-out"]


# ---- a cold model ----------------------------------------------------------------------------------------------


def test_a_cold_model_makes_a_record_a_message_and_one_wake_for_many_callers(cold):
    wakes = len(cold.executions.of("warm"))

    views = [invoke(cold) for _ in range(4)]

    assert {view.status for view in views} == {InvocationStatus.QUEUED}
    assert all(view.was_cold and view.retry_after_seconds for view in views)
    assert cold.queue.messages == [(view.id, "c-ask") for view in views]
    assert len(cold.executions.of("warm")) == wakes + 1
    assert cold.backend.prompts == []


def test_the_answer_comes_when_the_model_is_up_and_tells_that_it_was_cold(cold):
    view = invoke(cold)
    cold.run_wake()
    work(cold)

    told = cold.invoking.view(view.id)

    assert (told.status, told.was_cold, told.retry_after_seconds) == (InvocationStatus.SUCCEEDED, True, None)
    assert told.output.text == "Because of Rayleigh scattering."
    assert told.cost.usd == pytest.approx(cold.accounting.tariff(cold.deployment()).window.usd)


def test_a_model_believed_warm_that_is_not_is_queued_and_woken_for(serving):
    serving.backend.cold_for = 1
    wakes = len(serving.executions.of("warm"))

    view = invoke(serving)

    assert (view.status, view.was_cold) == (InvocationStatus.QUEUED, True)
    assert len(serving.executions.of("warm")) == wakes + 1


@pytest.mark.parametrize("broken", ["ledger", "record", "notice"])
def test_an_answer_is_given_whatever_goes_wrong_with_its_entries(serving, broken, monkeypatch):
    serving.clock.advance(minutes=3)
    invoke(serving)
    serving.clock.advance(minutes=2)  # still warm, in a window that is not opened yet
    serving.requesting.limit_spending("llama", SpendCeiling(usd=1.9))  # which is when its owner is told
    ports = {
        "ledger": (serving.deployments, "open_window"),
        "record": (serving.invocations, "put"),
        "notice": (serving.deployments, "save"),
    }

    def slow_down(*_, **__):
        raise Throttled("slow down")

    monkeypatch.setattr(*ports[broken], slow_down)
    view = invoke(serving)

    assert (view.status, view.output.text) == (InvocationStatus.SUCCEEDED, serving.backend.says)
    assert (len(serving.backend.prompts), serving.queue.messages) == (2, [])
    assert [message for message, _ in serving.journal.surprises] == ["an answer could not be entered"]


def test_a_throttled_call_is_queued_and_not_taken_for_cold(serving):
    serving.backend.refusals.append(Throttled("slow down"))
    wakes = len(serving.executions.of("warm"))

    view = invoke(serving)

    assert (view.status, view.was_cold) == (InvocationStatus.QUEUED, False)
    assert len(serving.executions.of("warm")) == wakes


@pytest.mark.parametrize("refusal", [Throttled("slow down"), AccessDenied("no such permission")])
def test_a_wake_that_cannot_be_begun_does_not_lose_the_question(cold, refusal):
    cold.executions.refusals.append(refusal)

    view = invoke(cold)

    assert view.status is InvocationStatus.QUEUED
    assert len(cold.queue.messages) == 1


def test_a_full_queue_refuses_with_429_and_says_when_to_come_back(cold):
    for _ in range(QUEUE_DEPTH):
        invoke(cold)

    with pytest.raises(QueueFull) as caught:
        invoke(cold)

    assert caught.value.http_status == 429
    assert caught.value.detail["retry_after_seconds"] > 0
    assert len(cold.invocations.shelf.all()) == QUEUE_DEPTH


# ---- waiting ---------------------------------------------------------------------------------------------------


def test_a_caller_who_prefers_to_wait_gets_the_answer_that_came_meanwhile(cold):
    cold.clock.meanwhile.extend([lambda: None, cold.run_wake, lambda: work(cold)])
    cold.backend.cold_for = 0

    view = invoke(cold, wait=20)

    assert view.status is InvocationStatus.SUCCEEDED
    assert view.output.text == "Because of Rayleigh scattering."


@pytest.mark.parametrize(
    ("broken", "told", "said"),
    [
        ("hold", "QUEUED", "a caller could not be held"),
        ("get", "QUEUED", "a caller could not be held"),
        ("release", "SUCCEEDED", "a place could not be given back"),
        ("get_output", "QUEUED", "a caller could not be held"),
    ],
)
def test_a_question_that_is_queued_is_accepted_whatever_goes_wrong_while_it_is_held(
    cold, broken, told, said, monkeypatch
):
    cold.clock.meanwhile.extend([] if broken == "get" else [lambda: None, cold.run_wake, lambda: work(cold)])
    cold.backend.cold_for = 0

    def deny(*_, **__):
        raise AccessDenied("no such permission")

    monkeypatch.setattr(cold.bodies if broken == "get_output" else cold.invocations, broken, deny)
    view = invoke(cold, wait=20)

    assert view.status == told
    assert [invocation.id for invocation in cold.invocations.shelf.all()] == [view.id]
    assert (said, view.id, "access-denied") in [
        (message, values["invocation"], values["code"]) for message, values in cold.journal.surprises
    ]


@pytest.mark.parametrize(
    ("fault", "said"), [(AccessDenied("no"), ["the model could not be woken"]), (Throttled("no"), [])]
)
def test_a_wake_that_fails_is_survived_and_told_where_it_does_not_pass_by_itself(cold, fault, said):
    cold.executions.refusals.append(fault)

    assert invoke(cold).status is InvocationStatus.QUEUED

    assert [message for message, _ in cold.journal.surprises] == said


@pytest.mark.parametrize(("wait", "held"), [(0, 0), (5, 5), (1000, LIMITS.longest_wait_seconds)])
def test_a_caller_is_held_for_as_long_as_it_prefers_and_no_longer_than_the_gateway_holds(cold, wait, held):
    began = cold.clock.now()

    view = invoke(cold, wait=wait)

    assert view.status is InvocationStatus.QUEUED
    assert (cold.clock.now() - began).total_seconds() == held


def test_beyond_the_bound_of_held_requests_a_caller_is_not_held_at_all(cold):
    views = []

    def ask_while_others_wait():
        began = cold.clock.now()
        views.append((invoke(cold, wait=0.25), (cold.clock.now() - began).total_seconds()))

    cold.clock.meanwhile.extend([ask_while_others_wait] * 2)
    invoke(cold, wait=1)

    held = [seconds for _, seconds in views]
    assert sorted(held) == [0.0, 0.25]
    assert cold.invocations.hold(cold.clock.now(), LIMITS.held_requests), "places are given back"


def test_a_caller_of_a_cold_model_is_told_what_is_left_of_its_cold_start(cold):
    first = invoke(cold)
    cold.clock.advance(seconds=60)
    second = invoke(cold)
    cold.clock.advance(seconds=600)

    measured = round(cold.deployment().cold_start_seconds)
    assert first.retry_after_seconds == min(measured, 120)
    assert second.retry_after_seconds == max(measured - 60, RETRY_AFTER_SECONDS)
    assert cold.invoking.view(first.id).retry_after_seconds == RETRY_AFTER_SECONDS


def test_an_invocation_whose_message_was_never_sent_fails_when_it_expires(cold):
    def crash(*_):
        raise KeyboardInterrupt

    cold.queue.send = crash
    with pytest.raises(KeyboardInterrupt):
        invoke(cold)
    (lost,) = cold.invocations.shelf.all()
    assert cold.invoking.view(lost.id).status is InvocationStatus.QUEUED
    cold.clock.advance(hours=6)

    view = cold.invoking.view(lost.id)

    assert (view.status, view.error["code"]) == (InvocationStatus.FAILED, "deadline-passed")
    assert (view.ended_at, view.retry_after_seconds) == (lost.expires_at, None)


def test_an_invocation_nobody_made_is_not_found(world):
    with pytest.raises(NotFound):
        world.invoking.view("nobody")


# ---- what is written down --------------------------------------------------------------------------------------


def test_each_answer_leaves_one_record_of_lengths_and_never_of_contents(serving):
    serving.backend.says = f"<think>{SECRET}</think>{SECRET}"
    view = invoke(serving, a_question(SECRET))

    (record,) = serving.journal.invocations
    assert record == {
        "request_id": view.id,
        "deployment": "llama",
        "correlation_id": "c-ask",
        "input_length": len(SECRET),
        "output_length": len(serving.backend.says),
        "inference_time": 1.0,
        "was_cold": False,
        "status": "SUCCEEDED",
        "error_code": None,
    }


@pytest.mark.parametrize("refusal", [None, ModelNotReady("loading"), InvocationFailed("it broke")])
def test_neither_prompt_nor_answer_is_in_the_journal_the_records_or_the_timeline(cold, refusal):
    cold.backend.says = SECRET
    invoke(cold, a_question(SECRET))
    cold.run_wake()
    cold.backend.refusals.extend([refusal] if refusal else [])
    for _ in range(3):
        if cold.queue.messages:
            work(cold)

    written = [cold.journal.everything(), str(cold.deployments.timeline("llama")), str(cold.topic.messages)]
    written += [str(record.dump()) for record in cold.invocations.shelf.all()]
    assert SECRET not in "".join(written)


def test_the_correlation_id_goes_from_the_caller_to_the_backend(cold):
    invoke(cold)
    cold.run_wake()
    work(cold)

    assert cold.executions.of("warm")[-1].work["correlation_id"] == "c-ask"
    assert cold.backend.correlation_ids[-1] == "c-ask"
