"""A call of an asynchronous endpoint is handed over once, and ends once: by its notice, by the net, or at last."""

import json
from datetime import timedelta

import pytest
from pilotlight.contracts import AsyncResult
from pilotlight.domain import names
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    AccessDenied,
    ConcurrentChange,
    InvalidInput,
    InvocationFailed,
    ModelNotReady,
    NotServing,
    SpendCeilingReached,
    Throttled,
    Unavailable,
    UnsupportedParameter,
)
from pilotlight.domain.invocation import ChatMessage, InvocationRequest, InvocationStatus, Parameters, RawInvocation
from pilotlight.domain.invocation_phase import Phase
from pilotlight.domain.spending import SpendCeiling
from pilotlight.domain.warmth import WakeOutcome
from pilotlight.services.inputs import Inputs

from tests.factories import a_hosted_deployment, a_question, an_artifact, some_facts

SECRET = "the vault's code is 4711"
AT_ZERO = {"instances": 0, "desired": 0}
VECTOR = {"payload": {"inputs": "a"}}


@pytest.fixture
def hosted(world):
    """Return a world whose model is hosted on one instance, and has a chat template."""
    return host(world)


def host(world, *, facts=None, **endpoint):
    artifact = an_artifact(facts=facts or some_facts())
    world.artifacts.shelf.write(artifact.id, artifact, 1)
    deployment = a_hosted_deployment(**endpoint).changed(artifact_id=artifact.id)
    version = deployment.version or 1
    world.deployments.shelf.write("llama", deployment, version)
    if deployment.endpoint.instances:
        world.metering.observe(deployment, deployment.endpoint.instances, world.clock.now())
    return world


def invoke(world, request=None, **told):
    asked = request or InvocationRequest(**(told or VECTOR))
    return world.invoking.invoke("llama", asked, wait_seconds=0, correlation_id="c-ask")


def work(world, invocation_id=None):
    """Let a worker take the message of an invocation, or the oldest of all."""
    messages = [each for each, _ in world.queue.messages]
    taken = invocation_id or messages[0]
    done = world.queue_work.run(taken, receipt="r-1")
    if done:
        world.queue.messages = [each for each in world.queue.messages if each[0] != taken]
    return done


def hand_over(world, request=None, **told):
    """Take a request and hand it over; return its id."""
    view = invoke(world, request, **told)
    assert work(world, view.id)
    return view.id


def note(world, notice):
    world.async_results.note(AsyncResult.model_validate(notice))


def record(world, invocation_id):
    return world.invocations.get(invocation_id)


def view(world, invocation_id):
    return world.invoking.view(invocation_id)


def look(world):
    return world.async_results.look(world.deployment())


def test_a_notice_is_not_believed_where_an_answer_lies(hosted):
    invocation_id = hand_over(hosted)
    notice = hosted.async_backend.answer(b"[0.5]")
    notice["responseParameters"]["outputLocation"] = "s3://ours-1/invocations/another/output.json"

    note(hosted, notice)

    kept = record(hosted, invocation_id)
    assert kept.result.location == hosted.async_backend.calls[0].submitted.output_location


# ---- handing over ----------------------------------------------------------------------------------------------


def test_a_call_is_queued_also_where_an_instance_is_up_and_handed_over_by_the_worker(hosted):
    accepted = invoke(hosted)

    assert (accepted.status, accepted.retry_after_seconds is not None) == (InvocationStatus.QUEUED, True)
    assert hosted.async_backend.calls == []

    assert work(hosted)
    (call,) = hosted.async_backend.calls
    taken = record(hosted, accepted.id)
    assert (call.invocation_id, call.correlation_id) == (accepted.id, "c-ask")
    assert (call.content.data, call.content.content_type) == (b'{"inputs":"a"}', "application/json")
    assert (taken.status, taken.claimed_until) == (InvocationStatus.RUNNING, None)
    assert taken.submission.output_location == call.submitted.output_location
    assert view(hosted, accepted.id).phase is Phase.RUNNING


@pytest.mark.parametrize("refusal", [Unavailable("the queue is away"), AccessDenied("not the queue")])
def test_a_call_that_the_queue_does_not_take_has_failed_and_keeps_no_instance(hosted, refusal):
    def refuse(*_):
        raise refusal

    hosted.queue.send = refuse

    with pytest.raises(type(refusal)):
        invoke(hosted, InvocationRequest(**VECTOR, webhook="https://hooks.example.com/a"))

    (lost,) = hosted.invocations.shelf.all()
    assert (lost.status, lost.error_code) == (InvocationStatus.FAILED, refusal.code)
    assert hosted.async_results.in_flight(hosted.deployment()) == 0
    assert hosted.webhook_queue.messages == [], "its caller was told"


def test_a_call_that_the_queue_took_without_saying_so_goes_on(hosted):
    send = hosted.queue.send

    def cut_off(*told):
        send(*told)
        assert work(hosted)
        raise Unavailable("no answer of the queue")

    hosted.queue.send = cut_off
    with pytest.raises(Unavailable):
        invoke(hosted)

    (taken,) = hosted.invocations.shelf.all()
    assert taken.status is InvocationStatus.RUNNING
    assert hosted.async_results.in_flight(hosted.deployment()) == 1


def test_a_call_counts_as_in_flight_from_the_moment_at_which_it_is_taken(hosted):
    invocation_id = invoke(hosted).id
    assert hosted.async_results.in_flight(hosted.deployment()) == 1

    hosted.in_flight.forget_id("llama", 1, invocation_id)
    work(hosted)

    assert hosted.in_flight.oldest("llama", 1, 10) == [invocation_id], "a mark that was lost is made again"


def test_a_second_delivery_of_what_was_handed_over_does_nothing(hosted):
    invocation_id = hand_over(hosted)
    before = record(hosted, invocation_id)

    assert work(hosted, invocation_id)

    assert len(hosted.async_backend.calls) == 1
    assert record(hosted, invocation_id) == before


def test_a_prompt_goes_through_the_models_own_template_in_the_containers_form(hosted):
    hand_over(hosted, a_question("Why?", parameters=Parameters(max_tokens=9, top_k=5)))

    (call,) = hosted.async_backend.calls
    sent = json.loads(call.content.data)
    assert sent["inputs"] == "<s><|user|>Why?<|assistant|>"
    assert (sent["parameters"]["max_new_tokens"], sent["parameters"]["top_k"]) == (9, 5)


def test_messages_of_a_model_without_a_template_of_ours_go_in_the_chat_form(world):
    host(world, facts=some_facts(chat_template=None))
    messages = (ChatMessage(role="user", content="Hi"),)

    hand_over(world, InvocationRequest(messages=messages))

    (call,) = world.async_backend.calls
    assert json.loads(call.content.data)["messages"] == [{"role": "user", "content": "Hi"}]
    with pytest.raises(UnsupportedParameter, match="top_k"):
        invoke(world, InvocationRequest(messages=messages, parameters=Parameters(top_k=5)))


def test_a_body_that_is_too_long_for_the_call_is_named_by_its_place(hosted):
    hand_over(hosted, payload={"inputs": "x" * 128_000})

    (call,) = hosted.async_backend.calls
    assert call.content.data is None
    assert json.loads(hosted.bodies.read(call.content.location, 200_000))["inputs"] == "x" * 128_000


def test_a_body_of_any_other_type_goes_as_it_is(hosted):
    raw = RawInvocation(content_type="image/png", data=b"\x89PNG\xff", accept="text/csv", timeout_seconds=7)

    hand_over(hosted, raw)

    (call,) = hosted.async_backend.calls
    assert hosted.bodies.stores[call.content.location][:2] == (b"\x89PNG\xff", "image/png")
    assert (call.content.content_type, call.content.accept, call.runs_seconds) == ("image/png", "text/csv", 7)


@pytest.mark.parametrize("location", ["s3://ours-of-old/some/key", "s3://artifacts-bucket/invocations/inputs/01m7x"])
def test_an_input_that_may_be_read_is_named_and_never_copied(hosted, location):
    hosted.bodies.write(location, b"png", "image/png")

    hand_over(hosted, input=location, content_type="image/png")

    (call,) = hosted.async_backend.calls
    assert (call.content.location, call.content.content_type) == (location, "image/png")
    assert set(hosted.bodies.stores) == {location}


def test_an_input_that_was_never_uploaded_is_refused_before_anything_starts(hosted):
    with pytest.raises(InvalidInput, match="no input at s3://artifacts-bucket/invocations/inputs/nothere") as caught:
        invoke(hosted, input="s3://artifacts-bucket/invocations/inputs/nothere")

    assert caught.value.detail["field"] == "input"
    assert hosted.queue.messages == []


@pytest.mark.parametrize(
    "location",
    [
        "s3://somebody-elses/key",
        "s3://artifacts-bucket/invocations/01m7x/request.json",
        "s3://artifacts-bucket/results/llama/done/1.out",
        "s3://artifacts-bucket/artifacts/a-1/weights/model.safetensors",
    ],
)
def test_an_input_that_may_not_be_read_is_refused_and_names_who_says_so(hosted, location):
    with pytest.raises(InvalidInput, match="SourceBuckets") as caught:
        invoke(hosted, input=location)

    assert caught.value.detail["field"] == "input"
    assert hosted.queue.messages == []


def test_no_pattern_of_buckets_lets_our_own_be_read(hosted):
    inputs = Inputs(hosted.deployments, hosted.bodies, "*")

    inputs.require_readable("s3://any-other/key")
    with pytest.raises(InvalidInput):
        inputs.require_readable("s3://artifacts-bucket/invocations/01m7x/request.json")


def test_where_no_bucket_is_named_none_is_read(hosted):
    inputs = Inputs(hosted.deployments, hosted.bodies, "")

    with pytest.raises(InvalidInput, match="no bucket of yours"):
        inputs.require_readable("s3://any-other/key")


def test_a_call_waits_as_long_as_its_invocation_and_runs_as_long_as_it_was_given(hosted):
    first = invoke(hosted)
    second = invoke(hosted, timeout_seconds=3600, **VECTOR)
    hosted.clock.advance(hours=5)
    work(hosted, first.id)
    hosted.clock.advance(minutes=59, seconds=30)
    work(hosted, second.id)

    calls = hosted.async_backend.calls
    assert [(call.waits_seconds, call.runs_seconds) for call in calls] == [(3600, 900), (30, 3600)]
    assert record(hosted, second.id).submission.by > record(hosted, second.id).expires_at


def test_at_zero_a_call_is_handed_over_first_and_then_an_instance_is_asked_for_once(world):
    host(world, **AT_ZERO)

    ids = [invoke(world).id for _ in range(3)]
    assert world.executions.of("warm") == []
    assert [work(world) for _ in ids] == [True] * 3

    assert len(world.async_backend.calls) == 3
    assert len(world.executions.of("warm")) == 1
    assert all(record(world, each).was_cold for each in ids)
    assert view(world, ids[0]).phase is Phase.INSTANCE_STARTING


def test_where_an_instance_is_up_nobody_is_woken(hosted):
    invocation_id = hand_over(hosted)

    assert hosted.executions.of("warm") == []
    assert not record(hosted, invocation_id).was_cold


@pytest.mark.parametrize("refusal", [Throttled("slow down"), InvocationFailed("no")])
def test_a_call_that_is_handed_over_does_not_mind_a_wake_that_fails(world, refusal):
    host(world, **AT_ZERO)
    world.executions.refusals.append(refusal)

    invocation_id = hand_over(world)

    assert record(world, invocation_id).submission


def test_what_must_wait_for_money_is_not_handed_over_and_goes_on_by_itself(hosted):
    invocation_id = invoke(hosted).id
    hosted.switch.on("too dear")

    assert not work(hosted)
    assert hosted.async_backend.calls == []
    assert "too dear" in view(hosted, invocation_id).waiting_for
    hosted.switch.off()
    assert work(hosted)
    assert record(hosted, invocation_id).waiting_for is None


def test_what_no_money_is_given_for_is_refused_at_once_or_fails(world):
    host(world, **AT_ZERO)
    queued = invoke(world).id
    world.requesting.limit_spending("llama", SpendCeiling(usd=0.01))

    with pytest.raises(SpendCeilingReached):
        invoke(world)
    assert work(world)

    assert record(world, queued).error_code == "spend-ceiling-reached"
    assert world.async_backend.calls == []


def test_an_endpoint_that_is_parked_is_woken_and_the_call_handed_over_when_it_is_there(world):
    host(world, **AT_ZERO, exists=False, parked=True)
    invocation_id = invoke(world).id

    assert not work(world)
    assert len(world.executions.of("warm")) == 1
    assert record(world, invocation_id).status is InvocationStatus.QUEUED
    assert view(world, invocation_id).phase is Phase.INSTANCE_STARTING

    host(world)
    assert work(world)
    assert record(world, invocation_id).submission


@pytest.mark.parametrize("fault", [Throttled("slow down"), Unavailable("no answer"), ModelNotReady("not yet")])
def test_a_fault_that_passes_lets_the_message_come_back(hosted, fault):
    invocation_id = invoke(hosted).id
    hosted.async_backend.refusals.append(fault)

    assert not work(hosted)
    assert work(hosted)

    assert record(hosted, invocation_id).submission


def test_a_call_that_is_refused_fails_with_its_reason(hosted):
    invocation_id = invoke(hosted).id
    hosted.async_backend.refusals.append(InvocationFailed("SageMaker refused the call.", told=SECRET))

    assert work(hosted)

    assert view(hosted, invocation_id).error == {
        "code": "invocation-failed",
        "message": "SageMaker refused the call.",
        "told": SECRET,
    }
    assert SECRET not in str(record(hosted, invocation_id).dump()) + hosted.journal.everything()
    assert hosted.async_results.in_flight(hosted.deployment()) == 0


def test_a_worker_that_died_after_handing_over_does_so_once_more_and_the_first_answer_counts(hosted):
    invocation_id = invoke(hosted).id
    hosted.async_backend.lost_answers = 1
    with pytest.raises(KeyboardInterrupt):
        work(hosted)
    assert not work(hosted)
    hosted.clock.advance(seconds=901)
    assert work(hosted)

    first, second = (hosted.async_backend.answer(b'"%d"' % number, number=number) for number in (0, 1))
    note(hosted, first)
    ended = record(hosted, invocation_id)
    note(hosted, second)

    assert len(hosted.async_backend.calls) == 2
    assert view(hosted, invocation_id).body == "0"
    assert record(hosted, invocation_id) == ended


def test_a_question_of_an_older_generation_is_not_handed_over(hosted):
    invocation_id = invoke(hosted).id
    hosted.deployments.shelf.write("llama", hosted.deployment().changed(generation=2), 2)

    assert work(hosted)

    assert record(hosted, invocation_id).error_code == "superseded"


def test_what_expires_in_the_queue_is_expired(hosted):
    invocation_id = invoke(hosted).id
    hosted.clock.advance(hours=6)

    assert work(hosted)

    assert view(hosted, invocation_id).phase is Phase.EXPIRED
    assert hosted.async_backend.calls == []


def test_a_dead_letter_of_what_was_handed_over_changes_nothing(hosted):
    invocation_id = hand_over(hosted)

    hosted.queue_work.fail(invocation_id, "tried too often")

    assert record(hosted, invocation_id).status is InvocationStatus.RUNNING


# ---- results ---------------------------------------------------------------------------------------------------


def test_what_a_model_said_is_its_output_with_all_that_is_known(hosted):
    invocation_id = hand_over(hosted, a_question())
    hosted.clock.advance(seconds=10)
    body = {"generated_text": "Because.", "details": {"generated_tokens": 40, "finish_reason": "eos_token"}}

    note(hosted, hosted.async_backend.answer(json.dumps(body).encode()))

    told = view(hosted, invocation_id)
    assert (told.status, told.phase, told.retry_after_seconds) == (InvocationStatus.SUCCEEDED, Phase.DONE, None)
    assert (told.output.text, told.output.stop_reason, told.usage.output_tokens) == ("Because.", "eos_token", 40)
    assert (told.latency_ms, told.ended_at) == (10_000, hosted.clock.now())
    assert told.output_location == hosted.async_backend.calls[0].submitted.output_location
    assert told.body is None
    assert told.cost.usd == pytest.approx(10 * 1.408 / 3600, abs=1e-6)
    assert hosted.accounting.last_answer_at(hosted.deployment()) == hosted.clock.now()
    assert hosted.accounting.speed(hosted.deployment()) == pytest.approx(4.0)
    assert hosted.in_flight.latencies("llama", 1) == (10.0,)
    assert hosted.async_results.in_flight(hosted.deployment()) == 0
    (entry,) = hosted.journal.invocations
    assert (entry["status"], entry["inference_time"], entry["output_length"]) == ("SUCCEEDED", 10.0, len("Because."))


def test_when_an_answer_was_there_is_what_its_notice_says_where_that_can_be(hosted):
    ids = [hand_over(hosted) for _ in range(4)]
    handed_over = hosted.clock.now()
    hosted.clock.advance(minutes=1)
    moments = (handed_over + timedelta(seconds=7), handed_over - timedelta(days=1), hosted.clock.now(), "yesterday")
    for number, moment in enumerate(moments):
        notice = hosted.async_backend.answer(b"1", number=number)
        note(hosted, {**notice, "eventTime": moment if isinstance(moment, str) else moment.isoformat()})

    assert [record(hosted, each).latency_ms for each in ids] == [7_000, 60_000, 60_000, 60_000]


def test_a_call_did_not_run_before_its_instance_was_up(world):
    host(world, **AT_ZERO)
    invocation_id = hand_over(world)
    up = WakeOutcome(id="w-1", warm=True, reason="up", at=world.clock.advance(minutes=8))
    host(world)
    world.deployments.shelf.write("llama", world.deployment().changed(last_wake=up), 1)
    world.clock.advance(seconds=12)

    note(world, world.async_backend.answer(b"1"))

    assert record(world, invocation_id).latency_ms == 12_000
    assert world.in_flight.latencies("llama", 1) == (12.0,)


def test_a_call_that_waits_for_an_instance_on_its_way_is_cold_like_the_one_that_asked_for_it(world):
    host(world, instances=0, desired=1)

    assert record(world, hand_over(world)).was_cold


def test_a_call_that_was_taken_for_warm_is_cold_when_its_endpoint_is_seen_to_have_none(hosted):
    invocation_id = hand_over(hosted)
    host(hosted, **AT_ZERO)

    look(hosted)

    assert record(hosted, invocation_id).was_cold
    version = record(hosted, invocation_id).version
    look(hosted)
    assert record(hosted, invocation_id).version == version


def test_a_call_that_was_answered_after_an_instance_came_up_was_cold(hosted):
    invocation_id = hand_over(hosted)
    up = WakeOutcome(id="w-1", warm=True, reason="up", at=hosted.clock.advance(minutes=8))
    hosted.deployments.shelf.write("llama", hosted.deployment().changed(last_wake=up), 1)
    hosted.clock.advance(seconds=12)

    note(hosted, hosted.async_backend.answer(b"1"))

    assert record(hosted, invocation_id).was_cold


@pytest.mark.parametrize("told", [None, 5])
def test_a_call_whose_instance_was_told_to_be_up_after_its_answer_measures_nothing(world, told):
    host(world, **AT_ZERO)
    invocation_id = hand_over(world, a_question())
    world.clock.advance(minutes=8)
    notice = world.async_backend.answer(b'{"generated_text": "a", "details": {"generated_tokens": 40}}')
    host(world)
    if told:
        up = WakeOutcome(id="w-1", warm=True, reason="up", at=world.clock.now() + timedelta(seconds=told))
        world.deployments.shelf.write("llama", world.deployment().changed(last_wake=up), 1)

    note(world, notice)

    assert record(world, invocation_id).latency_ms == 480_000, "with the start: nobody knows better"
    assert world.in_flight.latencies("llama", 1) == ()
    assert world.accounting.speed(world.deployment()) is None


def test_thinking_that_the_prompt_opened_is_apart_from_the_answer(world):
    host(world, facts=some_facts(chat_template="… <think>"))
    invocation_id = hand_over(world, a_question())

    note(world, world.async_backend.answer(b'{"generated_text": "Hm.</think>Because."}'))

    assert (view(world, invocation_id).output.reasoning, view(world, invocation_id).output.text) == ("Hm.", "Because.")


def test_a_speed_is_measured_only_where_a_call_was_alone(hosted):
    first = hand_over(hosted, a_question())
    hand_over(hosted, a_question())
    hosted.clock.advance(seconds=10)

    note(hosted, hosted.async_backend.answer(b'{"generated_text": "a", "details": {"generated_tokens": 40}}', number=0))

    assert record(hosted, first).status is InvocationStatus.SUCCEEDED
    assert hosted.accounting.speed(hosted.deployment()) is None


@pytest.mark.parametrize(
    ("data", "content_type", "body"),
    [(b"[0.5, 1]", "application/json", [0.5, 1]), (b"a,b", "text/csv; charset=utf-8", "a,b")],
)
def test_what_a_container_gave_is_the_body_where_it_can_be_read(hosted, data, content_type, body):
    invocation_id = hand_over(hosted)

    note(hosted, hosted.async_backend.answer(data, content_type))

    told = view(hosted, invocation_id)
    assert (told.body, told.content_type, told.output, told.output_url) == (body, content_type, None, None)
    assert told.usage is None


@pytest.mark.parametrize(
    ("data", "content_type"), [(b"\xff\x00", "image/png"), (b'"%s"' % (b"x" * 300_000), "application/json")]
)
def test_what_is_binary_or_long_is_fetched(hosted, data, content_type):
    invocation_id = hand_over(hosted)

    note(hosted, hosted.async_backend.answer(data, content_type))

    told = view(hosted, invocation_id)
    assert told.body is None
    assert told.output_url.endswith("1.out?signed")
    assert record(hosted, invocation_id).output_length == len(data)


def test_an_answer_to_a_prompt_in_another_form_is_given_as_it_is(hosted):
    invocation_id = hand_over(hosted, a_question())

    note(hosted, hosted.async_backend.answer(b'{"label": "POSITIVE"}'))

    assert (view(hosted, invocation_id).output, view(hosted, invocation_id).body) == (None, {"label": "POSITIVE"})


def test_an_error_that_the_container_tells_as_an_answer_is_a_failure(hosted):
    invocation_id = hand_over(hosted, a_question())

    note(hosted, hosted.async_backend.answer(b'{"generated_text": "", "details": {"finish_reason": "error"}}'))

    assert view(hosted, invocation_id).error["code"] == "invocation-failed"


def test_a_result_may_come_before_its_record_says_that_it_was_handed_over(hosted):
    invocation_id = invoke(hosted).id
    answer = hosted.async_backend.answer
    hosted.invocations.shelf.meanwhile.extend([lambda: None, lambda: note(hosted, answer(b"1"))])

    assert work(hosted)

    assert record(hosted, invocation_id).status is InvocationStatus.SUCCEEDED
    assert view(hosted, invocation_id).body == 1


def test_a_record_that_is_marked_just_then_is_read_again(hosted):
    invocation_id = hand_over(hosted)
    seen = record(hosted, invocation_id)
    hosted.invocations.shelf.meanwhile.append(lambda: hosted.invocations.save(seen, seen.changed(waiting_for="x")))

    note(hosted, hosted.async_backend.answer(b"1"))

    assert record(hosted, invocation_id).status is InvocationStatus.SUCCEEDED


def test_a_notice_of_a_record_that_others_keep_writing_comes_again(hosted):
    invocation_id = hand_over(hosted)

    def touch():
        seen = record(hosted, invocation_id)
        hosted.invocations.save(seen, seen.changed(waiting_for=f"{seen.version}"))

    hosted.invocations.shelf.meanwhile.extend([touch, lambda: None] * 3)

    with pytest.raises(ConcurrentChange):
        note(hosted, hosted.async_backend.answer(b"1"))


def test_a_notice_that_comes_twice_or_after_another_changes_nothing(hosted):
    invocation_id = hand_over(hosted)
    done = hosted.async_backend.answer(b"1")
    note(hosted, done)
    ended = record(hosted, invocation_id)

    for late in (done, hosted.async_backend.fail("it broke", b"why"), hosted.async_backend.expire()):
        note(hosted, late)

    assert record(hosted, invocation_id) == ended
    assert len(hosted.journal.invocations) == 1


@pytest.mark.parametrize("notice", [{}, {"inferenceId": ""}, {"inferenceId": "nobody"}, {"inferenceId": "i", "x": [1]}])
def test_a_result_of_a_call_that_nobody_made_is_told_of_and_nothing_else(hosted, notice):
    note(hosted, {"invocationStatus": "Completed", **notice})

    assert [message for message, _ in hosted.journal.surprises] == ["a result of an unknown invocation"]


def test_an_answer_that_is_told_and_not_there_yet_lets_the_notice_come_again(hosted):
    invocation_id = hand_over(hosted)
    notice = hosted.async_backend.answer(b"1")
    hosted.bodies.stores.clear()

    with pytest.raises(Unavailable):
        note(hosted, notice)

    assert record(hosted, invocation_id).status is InvocationStatus.RUNNING


@pytest.mark.parametrize(("kept", "told"), [(SECRET.encode(), SECRET), (None, f"server error (500): {SECRET}")])
def test_why_a_call_failed_is_for_its_caller_alone(hosted, kept, told):
    invocation_id = hand_over(hosted)

    note(hosted, hosted.async_backend.fail(f"server error (500): {SECRET}", kept))

    error = view(hosted, invocation_id).error
    assert (error["code"], error["told"]) == ("invocation-failed", told)
    assert SECRET not in error["message"] + str(record(hosted, invocation_id).dump()) + hosted.journal.everything()


def test_only_so_much_of_a_failure_is_told(hosted):
    invocation_id = hand_over(hosted)

    note(hosted, hosted.async_backend.fail("it broke", b"\xff" + b"x" * 100_000))

    assert len(view(hosted, invocation_id).error["told"]) == 2000


def test_a_failure_is_told_at_either_level_of_its_notice(hosted):
    invocation_id = hand_over(hosted)
    notice = hosted.async_backend.fail("it broke", b"why")
    notice["failureLocation"] = notice.pop("responseParameters")["failureLocation"]
    seen = record(hosted, invocation_id)
    hosted.invocations.save(seen, seen.changed(submission=None))

    note(hosted, notice)

    assert view(hosted, invocation_id).error["told"] == "why"


def test_a_failure_with_nothing_said_is_still_one(hosted):
    invocation_id = hand_over(hosted)

    note(hosted, {"inferenceId": invocation_id, "invocationStatus": "Failed"})

    assert view(hosted, invocation_id).error == {
        "code": "invocation-failed",
        "message": record(hosted, invocation_id).error_message,
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [("Expired", "The request has expired."), ("Failed", "The request has expired."), ("Expired", "No instance came.")],
)
def test_what_waited_for_too_long_is_expired_whatever_its_notice_calls_that(hosted, status, reason):
    invocation_id = hand_over(hosted)

    note(hosted, {**hosted.async_backend.expire(), "invocationStatus": status, "failureReason": reason})

    told = view(hosted, invocation_id)
    assert (told.phase, told.error["code"]) == (Phase.EXPIRED, "deadline-passed")
    assert told.error["told"] == reason


def test_a_call_that_ran_for_too_long_says_how_long_it_had(hosted):
    invocation_id = hand_over(hosted, timeout_seconds=120, **VECTOR)

    note(hosted, hosted.async_backend.fail("Your invocation timed out while waiting for a response from container."))

    error = view(hosted, invocation_id).error
    assert error["code"] == "invocation-timed-out"
    assert "120 s" in error["message"]


@pytest.mark.parametrize(
    "reason",
    [
        'ModelError: Received client error (400) from primary with message "unknown field timeout_seconds".',
        'ModelError: Received server error (500) from primary with message "the upstream call timed out".',
        'ModelError: Received client error (403) from primary with message "your token has expired".',
    ],
)
def test_what_a_container_says_of_time_is_no_timeout_of_the_call(hosted, reason):
    invocation_id = hand_over(hosted)

    note(hosted, hosted.async_backend.fail(reason))

    error = view(hosted, invocation_id).error
    assert (error["code"], error["told"]) == ("invocation-failed", reason)


def test_an_input_that_could_not_be_read_is_not_the_containers_fault(hosted):
    invocation_id = hand_over(hosted, input="s3://ours-of-old/some/key")
    reason = "ClientError: the input s3://ours-of-old/some/key could not be read with the role hosting."

    note(hosted, hosted.async_backend.fail(reason))

    error = view(hosted, invocation_id).error
    assert (error["code"], error["told"]) == ("invocation-failed", reason)
    assert "input of this call could not be read" in error["message"]
    assert "broke" not in error["message"]


def test_what_a_container_says_of_its_input_is_its_own_word(hosted):
    invocation_id = hand_over(hosted)
    said = "the input could not be read"

    note(hosted, hosted.async_backend.fail(f'Received client error (400) from primary with message "{said}"'))

    assert "broke this call" in view(hosted, invocation_id).error["message"]


def test_a_container_that_said_nothing_in_time_is_a_timeout_though_it_is_quoted(hosted):
    invocation_id = hand_over(hosted)
    said = "Your invocation timed out while waiting for a response from container primary."

    note(hosted, hosted.async_backend.fail(f'Received server error (0) from primary with message "{said}"'))

    assert view(hosted, invocation_id).error["code"] == "invocation-timed-out"


# ---- the net ---------------------------------------------------------------------------------------------------


def test_an_answer_that_nobody_told_of_is_found(hosted):
    invocation_id = hand_over(hosted)
    hosted.clock.advance(seconds=20)
    hosted.async_backend.answer(b"1")
    hosted.clock.advance(minutes=3)

    assert look(hosted) == 1

    told = view(hosted, invocation_id)
    assert (told.status, told.body, told.latency_ms) == (InvocationStatus.SUCCEEDED, 1, 21_000)
    assert look(hosted) == 0


def test_a_failure_that_nobody_told_of_is_found(hosted):
    invocation_id = hand_over(hosted)
    hosted.async_backend.fail("it broke", b"why")
    hosted.clock.advance(minutes=3)

    assert look(hosted) == 1

    assert view(hosted, invocation_id).error["told"] == "why"


def test_young_calls_are_left_to_the_topic_and_waiting_ones_alone(hosted):
    young = hand_over(hosted)
    hosted.async_backend.answer(b"1")

    assert look(hosted) == 0
    assert record(hosted, young).status is InvocationStatus.RUNNING
    hosted.bodies.stores.clear()
    hosted.clock.advance(hours=6)
    assert look(hosted) == 0, "it may run for a while yet"
    assert view(hosted, young).status is InvocationStatus.RUNNING


def test_what_is_past_its_time_is_given_up(hosted):
    invocation_id = hand_over(hosted)
    hosted.clock.set(record(hosted, invocation_id).submission.by)

    assert view(hosted, invocation_id).phase is Phase.EXPIRED
    assert look(hosted) == 1

    assert record(hosted, invocation_id).error_code == "deadline-passed"
    assert hosted.async_results.in_flight(hosted.deployment()) == 0


def test_marks_of_what_is_over_or_gone_are_removed(hosted):
    done, gone, waits = hand_over(hosted), hand_over(hosted), invoke(hosted).id
    note(hosted, hosted.async_backend.answer(b"1", number=0))
    hosted.in_flight.put(record(hosted, done))
    hosted.invocations.shelf._records.pop(gone)

    assert look(hosted) == 0

    assert hosted.in_flight.oldest("llama", 1, 10) == [waits]


def test_a_look_is_bounded_and_begins_with_the_oldest(hosted):
    ids = []
    for _ in range(30):
        ids.append(hand_over(hosted))
        hosted.async_backend.answer(b"1")
    hosted.clock.advance(minutes=3)

    assert look(hosted) == 25
    assert hosted.in_flight.oldest("llama", 1, 10) == ids[25:]


def test_a_fault_in_one_look_is_left_to_the_next(hosted, monkeypatch):
    invocation_id = hand_over(hosted)
    hosted.async_backend.answer(b"1")
    hosted.clock.advance(minutes=3)

    def slow_down(*_):
        raise Throttled("slow down")

    with monkeypatch.context() as broken:
        broken.setattr(hosted.bodies, "stored", slow_down)
        assert look(hosted) == 0

    assert look(hosted) == 1
    assert record(hosted, invocation_id).status is InvocationStatus.SUCCEEDED


# ---- the end of an endpoint ------------------------------------------------------------------------------------


def test_what_waits_at_an_endpoint_that_goes_ends_with_the_reason(hosted):
    waits, answered, queued = hand_over(hosted), hand_over(hosted), invoke(hosted).id
    hosted.async_backend.answer(b"1")

    assert hosted.async_results.abandon(hosted.deployment(), "its endpoint was removed")

    assert view(hosted, answered).body == 1
    for each in (waits, queued):
        assert view(hosted, each).error == {
            "code": NotServing.code,
            "message": "It is not answered any more: its endpoint was removed.",
        }
    assert hosted.async_results.in_flight(hosted.deployment()) == 0
    assert work(hosted, queued), "its message finds it over"


def test_a_call_that_somebody_ended_while_it_was_handed_over_is_counted_no_more(hosted):
    invocation_id = invoke(hosted).id
    submit = hosted.async_backend.submit

    def too_late(*asked, **told):
        hosted.async_results.abandon(hosted.deployment(), "its endpoint was removed")
        return submit(*asked, **told)

    hosted.async_backend.submit = too_late

    assert work(hosted, invocation_id)

    assert record(hosted, invocation_id).status is InvocationStatus.FAILED
    assert hosted.in_flight.oldest("llama", 1, 10) == []


def test_a_message_of_a_call_that_is_over_takes_away_its_mark(hosted):
    invocation_id = invoke(hosted).id
    hosted.async_results.abandon(hosted.deployment(), "its endpoint was removed")
    hosted.in_flight.put(record(hosted, invocation_id))  # by a worker that had read it before

    assert work(hosted, invocation_id)

    assert hosted.in_flight.oldest("llama", 1, 10) == []


@pytest.mark.parametrize(("refused", "kept"), [(1, SECRET), (2, None)])
def test_what_a_container_said_is_kept_where_the_bucket_refuses_it_once(hosted, monkeypatch, refused, kept):
    put, refusals = hosted.bodies.put_failure, [Throttled("slow down")] * refused

    def put_failure(*told):
        if refusals:
            raise refusals.pop()
        put(*told)

    monkeypatch.setattr(hosted.bodies, "put_failure", put_failure)
    hosted.async_backend.refusals.append(InvocationFailed("SageMaker refused the call.", told=SECRET))

    told = view(hosted, hand_over(hosted)).error

    assert told["code"] == InvocationFailed.code
    assert told.get("told") == kept


def test_an_end_is_repeated_until_nothing_waits(hosted, monkeypatch):
    monkeypatch.setattr("pilotlight.services.async_results.MOST_ABANDONED", 2)
    for _ in range(3):
        hand_over(hosted)

    assert not hosted.async_results.abandon(hosted.deployment(), "its endpoint was removed")
    assert hosted.async_results.abandon(hosted.deployment(), "its endpoint was removed")

    assert hosted.async_results.in_flight(hosted.deployment()) == 0


def test_what_an_endpoint_took_that_is_gone_ends_at_the_look_that_finds_it_gone_and_what_waits_goes_on(world):
    world.host()
    lost, answered = hand_over(world), hand_over(world)
    world.async_backend.answer(b"1")
    queued = invoke(world).id
    world.endpoints.vanish(names.endpoint_name("llama", 1))

    world.observing.look_and_scale("llama")

    assert view(world, lost).error == {
        "code": NotServing.code,
        "message": "It is not answered any more: the endpoint that had it is gone. Send it again.",
    }
    assert view(world, answered).body == 1
    assert record(world, queued).status is InvocationStatus.QUEUED


def test_what_a_former_endpoint_of_that_name_took_is_not_waited_for(world):
    world.host()
    lost = hand_over(world)
    world.endpoints.vanish(names.endpoint_name("llama", 1))
    world.clock.advance(minutes=2)
    world.observing.look("llama")  # whoever waits for it may see it first
    world.wake_up()
    world.settle(seconds=240)
    taken = hand_over(world)

    world.look()

    assert (record(world, lost).status, record(world, taken).status) == (
        InvocationStatus.FAILED,
        InvocationStatus.RUNNING,
    )


# ---- where it is -----------------------------------------------------------------------------------------------


def test_a_caller_sees_its_place_and_how_long_it_may_take(hosted):
    hosted.in_flight.note_latency("llama", 1, 40.0)
    first, second = hand_over(hosted), hand_over(hosted)

    told = [view(hosted, each) for each in (first, second)]

    assert [each.phase for each in told] == [Phase.RUNNING, Phase.QUEUED]
    assert [each.estimate.seconds_left for each in told] == [40, 80]
    assert [each.retry_after_seconds for each in told] == [40, 80]


def test_where_it_is_cannot_be_told_the_invocation_still_is(hosted, monkeypatch):
    invocation_id = hand_over(hosted)

    def slow_down(*_):
        raise Throttled("slow down")

    monkeypatch.setattr(hosted.in_flight, "oldest", slow_down)

    assert view(hosted, invocation_id).status is InvocationStatus.RUNNING


# ---- inputs ----------------------------------------------------------------------------------------------------


def test_an_input_is_given_a_place_and_may_be_named_then(hosted):
    place = hosted.inputs.place("llama", _input(content_type="image/png"))

    assert (place.upload.method, place.upload.headers) == ("PUT", {"Content-Type": "image/png"})
    assert place.expires_at > hosted.clock.now()
    hosted.bodies.write(place.input, b"png", "image/png")
    assert hand_over(hosted, input=place.input, content_type="image/png")


def test_places_of_inputs_are_never_the_same(hosted):
    places = {hosted.inputs.place("llama", _input()).input for _ in range(10)}

    assert len(places) == 10


def test_a_deployment_that_reads_no_inputs_says_so(world):
    world.bring(Status.SERVING)

    with pytest.raises(InvalidInput) as caught:
        world.inputs.place("llama", _input())

    assert caught.value.detail["field"] == "backend"


def test_a_deployment_that_does_not_serve_takes_no_inputs(hosted):
    hosted.deployments.shelf.write("llama", hosted.deployment().changed(status=Status.TEARING_DOWN), 2)

    with pytest.raises(NotServing):
        hosted.inputs.place("llama", _input())


def _input(**told):
    from pilotlight.domain.invocation_request import InputRequest

    return InputRequest(**told)
