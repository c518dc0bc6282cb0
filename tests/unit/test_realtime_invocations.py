"""A real-time endpoint answers prompts and bodies at once while it is up, and what has to wait is read again."""

import pytest
from pilotlight.domain import lmi
from pilotlight.domain.errors import InvalidInput, InvocationFailed, InvocationTimedOut, ModelNotReady
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import (
    ChatMessage,
    ContainerAnswer,
    InvocationRequest,
    InvocationStatus,
    Parameters,
    RawInvocation,
)
from pilotlight.domain.invocation_phase import Phase
from pilotlight.domain.serving import ServingSettings, Task
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import WakeOutcome

from tests.factories import a_hosted_deployment, a_question, an_artifact, some_facts

PNG = RawInvocation(content_type="image/png", data=b"\x89PNG\xff")
CHAT = InvocationRequest(
    messages=(ChatMessage(role="user", content="Hi"),), parameters=Parameters(max_tokens=50, temperature=0.5)
)
VECTOR = InvocationRequest(payload={"inputs": "a"})


@pytest.fixture
def hosted(world):
    """Return a world whose model is on one instance of a real-time endpoint."""
    return host(world)


def host(world, **endpoint):
    artifact = an_artifact(facts=endpoint.pop("facts", some_facts()))
    world.artifacts.shelf.write(artifact.id, artifact, 1)
    deployment = a_hosted_deployment(backend=Backend.SAGEMAKER_REALTIME, **endpoint).changed(artifact_id=artifact.id)
    world.deployments.shelf.write("llama", deployment, 1)
    world.backend.supported_parameters = lmi.SUPPORTED
    return world


def invoke(world, request=VECTOR):
    return world.invoking.invoke("llama", request, wait_seconds=0, correlation_id="c-ask")


def work(world):
    invocation_id, _ = world.queue.messages[0]
    return world.queue_work.run(invocation_id, receipt="r-1")


def test_a_prompt_is_answered_at_once_through_the_models_own_template(hosted):
    view = invoke(hosted, a_question("Why?", parameters=Parameters(max_tokens=50, top_k=5)))

    assert (view.status, view.phase) == (InvocationStatus.SUCCEEDED, Phase.DONE)
    assert view.output.text == "Because of Rayleigh scattering."
    assert hosted.backend.prompts == ["<s><|user|>Why?<|assistant|>"]
    assert hosted.backend.asked[0].top_k == 5


def test_a_payload_is_answered_at_once_with_what_the_container_gave(hosted):
    hosted.backend.gives = ContainerAnswer(data=b"[0.5]", content_type="application/json")

    view = invoke(hosted)

    assert (view.status, view.body, view.content_type) == (InvocationStatus.SUCCEEDED, [0.5], "application/json")
    assert (view.output, view.usage, view.output_url) == (None, None, None)
    assert (view.latency_ms, view.cost.usd > 0) == (1000, True)
    assert hosted.backend.bodies[0].data == b'{"inputs":"a"}'
    assert hosted.bodies.stores == {}, "it is given, and not kept"


def test_a_call_of_what_was_scaled_down_is_queued_and_marked_so_that_it_is_waited_for(hosted):
    hosted.warming.scale_down("llama")

    view = invoke(hosted)
    waited_for = hosted.in_flight.oldest("llama", 1, 10)
    hosted.clock.advance(minutes=2)
    deployment = hosted.scaling.apply(hosted.deployment())

    assert (view.status, view.phase, hosted.backend.bodies) == (InvocationStatus.QUEUED, Phase.QUEUED, [])
    assert waited_for == [view.id]
    assert deployment.endpoint.exists
    assert work(hosted)
    assert hosted.invoking.view(view.id).status is InvocationStatus.SUCCEEDED


def test_what_was_woken_again_after_a_scale_down_is_answered_at_once(hosted):
    hosted.warming.scale_down("llama")
    hosted.clock.advance(minutes=2)
    now = hosted.clock.now()
    woken = WakeOutcome(id="w", warm=True, reason="somebody called", began_at=now, at=now)
    before = hosted.deployment()
    hosted.deployments.shelf.write("llama", before.changed(last_wake=woken), before.version + 1)

    assert invoke(hosted).status is InvocationStatus.SUCCEEDED


def test_an_answer_that_cannot_be_shown_is_kept_and_fetched(hosted):
    view = invoke(hosted, PNG)

    assert (view.body, view.content_type) == (None, "image/png")
    assert view.output_url
    assert hosted.bodies.stores[view.output_location][0] == PNG.data
    assert hosted.invoking.view(view.id).output_url


def test_messages_of_a_model_without_a_template_of_ours_go_in_the_chat_form(world):
    host(world, facts=some_facts(chat_template=None))
    world.backend.gives = ContainerAnswer(
        data=b'{"choices": [{"message": {"content": "Hi."}}]}', content_type="application/json"
    )

    view = invoke(world, CHAT)

    assert view.output.text == "Hi."
    assert b'"messages":[{"role":"user","content":"Hi"}]' in world.backend.bodies[0].data


def test_a_container_that_answers_a_chat_in_another_form_has_failed(world):
    host(world, facts=some_facts(chat_template=None))
    world.backend.gives = ContainerAnswer(data=b"[0.5]", content_type="application/json")

    with pytest.raises(InvocationFailed, match="payload"):
        invoke(world, CHAT)


def test_a_body_that_is_too_large_is_refused_before_anything_is_queued(world):
    host(world, instances=0, desired=0)

    with pytest.raises(InvalidInput, match="sagemaker-async") as caught:
        invoke(world, RawInvocation(content_type="image/png", data=b"1" * 6_291_457))

    assert caught.value.http_status == 422
    assert (world.queue.messages, world.bodies.stores) == ([], {})


@pytest.mark.parametrize("field", ["input", "timeout_seconds"])
def test_what_only_an_asynchronous_endpoint_takes_is_refused_and_names_it(hosted, field):
    told = {"input": {"input": "s3://ours-1/k"}, "timeout_seconds": {"payload": 1, "timeout_seconds": 61}}[field]

    with pytest.raises(InvalidInput, match="sagemaker-async"):
        invoke(hosted, InvocationRequest(**told))


def test_a_prompt_to_a_model_that_makes_vectors_says_what_to_send(hosted):
    vectors = hosted.deployment().changed(hosting=Hosting(serving=ServingSettings(task=Task.FEATURE_EXTRACTION)))
    hosted.deployments.shelf.write("llama", vectors, 1)

    with pytest.raises(InvalidInput, match="payload"):
        invoke(hosted, a_question())
    assert invoke(hosted).status is InvocationStatus.SUCCEEDED


@pytest.mark.parametrize("request_", [VECTOR, PNG, a_question()])
def test_what_finds_no_instance_waits_with_its_body_and_wakes_the_model(world, request_):
    host(world, instances=0, desired=0)

    view = invoke(world, request_)

    assert (view.status, view.was_cold) == (InvocationStatus.QUEUED, True)
    assert len(world.executions.of("warm")) == 1
    assert world.async_results.in_flight(world.deployment()) == 1
    host(world)
    assert work(world)
    told = world.invoking.view(view.id)
    assert told.status is InvocationStatus.SUCCEEDED
    assert world.async_results.in_flight(world.deployment()) == 0
    if request_ is PNG:
        assert world.bodies.stores[told.output_location][0] == PNG.data
    elif request_ is VECTOR:
        assert told.body == {"inputs": "a"}
    else:
        assert told.output.text == world.backend.says


def test_an_endpoint_that_turns_out_not_to_be_ready_lets_the_call_wait(hosted):
    hosted.backend.refusals.append(ModelNotReady("not in service"))

    view = invoke(hosted)

    assert (view.status, view.was_cold) == (InvocationStatus.QUEUED, True)


def test_a_body_that_waited_and_is_no_longer_kept_fails(world):
    host(world, instances=0, desired=0)
    view = invoke(world, PNG)
    world.bodies.stores.clear()
    host(world)

    assert work(world)

    assert world.invoking.view(view.id).error["code"] == "not-found"


def test_a_call_that_may_take_longer_than_the_api_waits_is_queued_and_has_its_time(hosted):
    view = invoke(hosted, InvocationRequest(payload=1, timeout_seconds=45))

    assert view.status is InvocationStatus.QUEUED
    assert work(hosted)
    assert hosted.backend.timeouts == [45.0]


def test_no_call_has_more_than_the_services_sixty_seconds(hosted):
    invoke(hosted, a_question(parameters=Parameters(max_tokens=50_000)))

    assert work(hosted)

    assert hosted.backend.timeouts == [60.0]


def test_a_body_that_took_too_long_says_nothing_of_tokens(hosted):
    hosted.metering.observe(hosted.deployment(), 1, hosted.clock.now())
    hosted.backend.refusals.append(InvocationTimedOut("it took too long"))

    with pytest.raises(InvocationTimedOut):
        invoke(hosted)

    assert hosted.accounting.speed(hosted.deployment()) is None


def test_the_next_body_is_queued_after_one_that_took_too_long_and_direct_again_after_a_quick_one(hosted):
    hosted.backend.refusals.append(InvocationTimedOut("it took too long"))
    with pytest.raises(InvocationTimedOut):
        invoke(hosted)

    queued = invoke(hosted)
    assert queued.status is InvocationStatus.QUEUED
    assert work(hosted)
    assert hosted.invoking.view(queued.id).status is InvocationStatus.SUCCEEDED
    assert invoke(hosted).status is InvocationStatus.SUCCEEDED


def test_bodies_that_mostly_take_too_long_are_queued(hosted):
    for seconds in (30.0, 31.0, 1.0):
        hosted.in_flight.note_latency("llama", 1, seconds)

    assert invoke(hosted).status is InvocationStatus.QUEUED
    assert invoke(hosted, a_question("Why?", parameters=Parameters(max_tokens=50))).status is InvocationStatus.SUCCEEDED


def test_an_answer_that_was_kept_before_a_fault_is_not_asked_for_again(world):
    host(world, instances=0, desired=0)
    view = invoke(world)
    host(world)
    save = world.invocations.save

    def save_once_in_vain(before, after):
        if after.is_over:
            world.invocations.save = save
            raise ModelNotReady("the table is away")
        return save(before, after)

    world.invocations.save = save_once_in_vain
    assert not work(world)

    assert work(world)

    assert len(world.backend.bodies) == 1
    assert world.invoking.view(view.id).body == {"inputs": "a"}
