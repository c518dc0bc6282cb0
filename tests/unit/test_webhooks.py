"""Whoever asked to be told is told once, signed, without secrets, and for hours if need be."""

import json

import pytest
from pilotlight.contracts import AsyncResult
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import InvalidInput, InvocationFailed, Throttled, Unavailable
from pilotlight.domain.invocation import InvocationStatus, Parameters
from pilotlight.domain.webhook import MOST_ATTEMPTS, SIGNATURE_HEADER, WebhookStatus, signature

from tests.factories import a_hosted_deployment, a_question

HOOK = "https://example.com/hooks?token=4711"


@pytest.fixture
def asked(world):
    """Return a world in which somebody asked a warm model, and wants to be told."""
    world.bring(Status.SERVING)
    short = Parameters(max_tokens=50)  # that it could be answered at once
    asked = a_question(webhook=HOOK, parameters=short)
    world.invoking.invoke("llama", asked, wait_seconds=0, correlation_id="c-ask")
    return world


@pytest.fixture
def over(asked):
    """Return a world in which that was answered, and nobody told yet."""
    work(asked)
    return asked


def record(world):
    (invocation,) = world.invocations.shelf.all()
    return invocation


def work(world):
    return world.queue_work.run(record(world).id, receipt="r-1")


def deliver(world, receives=1, message="m-1"):
    return world.webhooks.deliver(record(world).id, message=message, receipt="w-1", receives=receives)


def test_a_question_whose_answer_somebody_is_told_waits_for_a_worker_though_the_model_is_warm(asked):
    assert len(asked.queue.messages) == 1
    assert record(asked).webhook.status is WebhookStatus.PENDING
    assert asked.webhook_queue.messages == [], "there is nothing to tell yet"


def test_who_asked_is_told_what_the_api_would_tell_and_the_record_says_so(over):
    assert over.webhook_queue.messages == [(record(over).id, "c-ask")]

    assert deliver(over)

    ((url, body, headers),) = over.webhook_sender.sent
    told = json.loads(body)
    view = over.invoking.view(record(over).id).dump()
    assert url == HOOK
    assert told == {name: value for name, value in view.items() if name != "webhook"}
    assert told["output"]["text"] == "Because of Rayleigh scattering."
    assert headers["X-Correlation-Id"] == "c-ask"
    webhook = record(over).webhook
    assert (webhook.status, webhook.attempts, webhook.at) == (WebhookStatus.DELIVERED, 1, over.clock.now())


def test_a_notice_is_signed_with_the_stacks_own_secret(over):
    deliver(over)

    ((_, body, headers),) = over.webhook_sender.sent
    assert headers[SIGNATURE_HEADER] == signature("a secret of this stack's own", body, over.clock.now())


def test_a_notice_holds_no_address_that_lets_anybody_in_and_no_address_of_its_own(world):
    world.deployments.shelf.write("llama", a_hosted_deployment(), 1)
    asked = a_question(prompt=None, payload={"inputs": "a"}, webhook=HOOK)
    view = world.invoking.invoke("llama", asked, wait_seconds=0, correlation_id="c-ask")
    work(world)
    notice = AsyncResult.model_validate(world.async_backend.answer(b"\xff", "image/png"))
    world.async_results.note(notice)

    assert deliver(world)

    ((_, body, _),) = world.webhook_sender.sent
    told = json.loads(body)
    assert world.invoking.view(view.id).output_url
    assert "output_url" not in told
    assert told["output_location"].startswith("s3://")
    assert b"4711" not in body
    assert "4711" not in str(record(world).dump()) + world.journal.everything()


def test_a_failure_is_told_as_well(asked):
    asked.backend.refusals.append(InvocationFailed("it broke"))
    work(asked)

    deliver(asked)

    ((_, body, _),) = asked.webhook_sender.sent
    assert json.loads(body)["error"]["message"] == "it broke"


def test_a_question_that_nobody_is_told_of_makes_no_notice(world):
    world.bring(Status.SERVING)
    world.invoking.invoke("llama", a_question(), wait_seconds=0, correlation_id="c-ask")
    work(world)

    assert world.webhook_queue.messages == []
    assert deliver(world)
    assert world.webhook_sender.sent == []


def test_a_second_delivery_of_a_notice_that_was_taken_tells_nobody(over):
    deliver(over)

    assert deliver(over)

    assert len(over.webhook_sender.sent) == 1


def test_a_notice_is_queued_before_the_end_is_written_and_waits_for_it(asked):
    save = asked.invocations.save

    def save_once_in_vain(before, after):
        if after.is_over:
            asked.invocations.save = save
            raise Unavailable("the table is away")
        return save(before, after)

    asked.invocations.save = save_once_in_vain
    assert not work(asked)
    assert len(asked.webhook_queue.messages) == 1

    assert not deliver(asked)
    assert asked.webhook_sender.sent == []
    assert asked.webhook_queue.hidden == [("w-1", 5)]
    assert work(asked)
    assert deliver(asked)
    assert len(asked.webhook_sender.sent) == 1


def test_of_several_messages_of_one_end_the_first_tells_and_the_others_are_dropped(over):
    over.webhook_sender.answers.extend([500, 200])

    assert not deliver(over, message="m-1")
    assert deliver(over, message="m-2")
    assert len(over.webhook_sender.sent) == 1
    assert deliver(over, 2, message="m-1")

    assert len(over.webhook_sender.sent) == 2
    assert record(over).webhook.attempts == 2


def test_of_two_messages_at_the_same_moment_one_tells(over):
    over.invocations.shelf.meanwhile.append(lambda: deliver(over, message="m-2"))

    assert deliver(over, message="m-1")

    assert len(over.webhook_sender.sent) == 1


def test_no_notice_is_tried_more_often_than_is_promised_however_rarely_its_message_came(over):
    over.webhook_sender.answers.extend([500] * MOST_ATTEMPTS)
    for _ in range(MOST_ATTEMPTS):
        deliver(over, receives=1)

    assert deliver(over)

    webhook = record(over).webhook
    assert (webhook.status, webhook.attempts) == (WebhookStatus.FAILED, MOST_ATTEMPTS)


@pytest.mark.parametrize("answer", [500, 301, 404, Unavailable("the host was not reached")])
def test_a_notice_that_is_not_taken_comes_back_ever_later(over, answer):
    over.webhook_sender.answers.extend([answer, answer, 200])

    assert [deliver(over, receives) for receives in (1, 2, 3)] == [False, False, True]

    assert over.webhook_queue.hidden == [("w-1", 10), ("w-1", 20)]
    webhook = record(over).webhook
    assert (webhook.status, webhook.attempts, webhook.reason) == (WebhookStatus.DELIVERED, 3, None)


def test_until_it_is_taken_the_record_says_why_not(over):
    over.webhook_sender.answers.append(503)

    deliver(over)

    webhook = over.invoking.view(record(over).id).webhook
    assert (webhook.status, webhook.reason) == (WebhookStatus.PENDING, "it was answered with status 503")


def test_a_notice_that_nobody_takes_for_hours_is_left_to_the_dead_letters_and_noted(over):
    over.webhook_sender.answers.extend([500, 500])

    assert not deliver(over, MOST_ATTEMPTS)

    assert record(over).webhook.status is WebhookStatus.FAILED
    assert over.webhook_queue.hidden == []
    assert record(over).status is InvocationStatus.SUCCEEDED
    assert deliver(over, MOST_ATTEMPTS + 1), "what was given up is not tried again"
    assert len(over.webhook_sender.sent) == 1


@pytest.mark.parametrize("answer", [410, InvalidInput("its host has an address that is not public")])
def test_what_no_further_attempt_can_help_is_given_up_at_once(over, answer):
    over.webhook_sender.answers.append(answer)

    assert deliver(over)

    webhook = record(over).webhook
    assert webhook.status is WebhookStatus.FAILED
    assert webhook.reason
    assert over.webhook_queue.hidden == []


def test_a_request_that_is_no_longer_kept_names_nobody_to_tell(over):
    over.bodies.requests.clear()

    assert deliver(over)

    assert record(over).webhook.status is WebhookStatus.FAILED
    assert over.webhook_sender.sent == []


def test_a_notice_of_a_record_that_has_expired_is_dropped(over):
    invocation_id = record(over).id
    over.invocations.shelf.lose()

    assert over.webhooks.deliver(invocation_id, message="m-1", receipt="w-1")


def test_a_record_that_others_write_just_then_is_noted_all_the_same(over):
    seen = record(over)
    over.invocations.shelf.meanwhile.append(lambda: over.invocations.save(seen, seen.changed(waiting_for="x")))

    assert deliver(over)

    assert record(over).webhook.status is WebhookStatus.DELIVERED


def test_an_end_is_not_written_where_nobody_could_be_told_of_it(asked, monkeypatch):
    def slow_down(*_):
        raise Throttled("slow down")

    with monkeypatch.context() as broken:
        broken.setattr(asked.webhook_queue, "send", slow_down)
        assert not work(asked)
    assert not record(asked).is_over

    assert work(asked)

    assert len(asked.backend.prompts) == 1, "its answer was kept"
    assert len(asked.webhook_queue.messages) == 1
