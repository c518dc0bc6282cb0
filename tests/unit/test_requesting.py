"""A request is carried out once, however often and in whatever state it is repeated."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    Conflict,
    IdempotencyKeyReused,
    IllegalTransition,
    InvalidInput,
    NameTaken,
    SpendCeilingReached,
    Throttled,
    Unavailable,
)
from pilotlight.domain.pricing import Tariff, rate_in
from pilotlight.domain.spending import Per, SpendCeiling, least_to_serve
from pydantic import ValidationError

from tests.factories import NOON, a_request, office_hours


def ask(world, name="llama", key=None, **fields):
    return world.requesting.request(a_request(name, **fields), correlation_id="c-1", idempotency_key=key)


def test_a_request_is_a_record_and_an_execution_that_carries_it_out(world):
    view = ask(world, lease="8h", tags={"team": "search"})

    assert (view.status, view.generation, view.lease_ends_at) == (Status.REQUESTED, 1, NOON + timedelta(hours=8))
    (execution,) = world.executions.of("deploy")
    assert execution.named == "llama-g1"
    asked = {"deployment": "llama", "generation": 1, "attempt": 1, "backend": "bedrock", "correlation_id": "c-1"}
    assert execution.work == asked
    assert world.deployment().next_look_at is not None


@pytest.mark.parametrize("tags", [{"team": "größe"}, {"aws:team": "x"}, {"team": "AWS:x"}, {"te,am": "x"}, {"": "x"}])
def test_tags_that_bedrock_would_refuse_after_the_copy_are_refused_before(tags):
    with pytest.raises(ValidationError):
        a_request(tags=tags)


def test_tags_that_bedrock_takes_are_taken():
    tags = {"team/search": "a b+c=d.e_f:g@h-1"}

    assert a_request(tags=tags).tags == tags


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/mine",
        "arn:aws:iam::123456789012:role/path/pilotlight-import-mine",
        "arn:aws:iam::123456789012:role/pilotlight-import-",
        "arn:aws:iam::1234:role/pilotlight-import-mine",
        "arn:aws:iam::123456789012:role/pilotlight-import-mine\n",
    ],
)
def test_a_role_that_the_stack_may_not_pass_is_refused_and_says_which_it_may(arn):
    with pytest.raises(ValidationError, match="role/pilotlight-import-<name>"):
        a_request(import_role_arn=arn)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_a_role_whose_name_begins_as_it_must_is_taken(partition):
    arn = f"arn:{partition}:iam::123456789012:role/pilotlight-import-mine"

    assert a_request(import_role_arn=arn).import_role_arn == arn


def test_a_source_that_nobody_can_read_is_refused_before_anything_is_written(world):
    with pytest.raises(InvalidInput):
        ask(world, source="ftp://x")

    assert world.deployments.find("llama") is None


@pytest.mark.parametrize("per", list(Per))
def test_a_ceiling_that_pays_for_nothing_is_refused_before_anything_is_written(world, per):
    with pytest.raises(SpendCeilingReached, match=r"could not be warm even once: \$0\.00 of \$0\.10 per"):
        ask(world, spend_ceiling={"usd": 0.1, "per": per})

    assert world.deployments.find("llama") is None
    assert world.executions.of("deploy") == []


def test_a_ceiling_that_pays_for_one_unit_in_one_window_is_taken(world):
    least = least_to_serve(Tariff(rate=rate_in("us-east-1"), units=1))

    assert ask(world, spend_ceiling={"usd": least}).status is Status.REQUESTED


def test_what_former_generations_spent_this_month_counts_for_a_month_s_ceiling_alone(world):
    world.bring(Status.GONE)
    spent = world.deployments.spent_in("llama", "2026-11")
    assert spent > 0

    with pytest.raises(SpendCeilingReached, match="wait for the next month"):
        ask(world, spend_ceiling={"usd": spent + 0.1})

    assert ask(world, spend_ceiling={"usd": spent + 0.1, "per": "deployment"}).generation == 2


def test_a_repeat_of_a_taken_request_is_taken_though_the_model_has_spent_its_ceiling_meanwhile(world, monkeypatch):
    def died(*_):
        raise KeyboardInterrupt

    ceiling = {"usd": 1.2}
    with monkeypatch.context() as dying:
        dying.setattr(world.keys, "answer", died)
        with pytest.raises(KeyboardInterrupt):
            ask(world, key="k", spend_ceiling=ceiling)
    world.bring(Status.SERVING)
    world.clock.advance(minutes=30)
    assert world.spending.view(world.deployment()).percent > 90, "what is left pays for nothing"

    view = ask(world, key="k", spend_ceiling=ceiling)

    assert (view.status, view.generation) == (Status.SERVING, 1)
    assert len(world.executions.of("deploy")) == 1


def test_a_retry_that_its_ceiling_cannot_pay_for_is_refused_until_there_is_more(world):
    world.bring(Status.FAILED)
    world.requesting.limit_spending("llama", SpendCeiling(usd=0.01))
    with pytest.raises(SpendCeilingReached):
        world.requesting.retry("llama", correlation_id="c-2")
    assert world.status() is Status.FAILED

    world.requesting.limit_spending("llama", SpendCeiling(usd=100))

    assert world.requesting.retry("llama", correlation_id="c-2").status is Status.REQUESTED


def test_a_name_that_is_taken_names_its_holder(world):
    ask(world)

    with pytest.raises(NameTaken) as caught:
        ask(world, source="hf://acme/other")

    assert caught.value.detail["holder"] == {"name": "llama", "generation": 1, "status": Status.REQUESTED}
    assert world.deployment().source == "hf://acme/llama-8b"


def test_a_name_that_is_gone_goes_on_with_its_next_generation(world):
    world.bring(Status.GONE)

    view = ask(world)

    assert (view.generation, view.attempt, view.status) == (2, 1, Status.REQUESTED)
    assert world.executions.names("deploy") == ["llama-g1", "llama-g2"]


def test_the_same_key_and_body_give_the_same_answer(world):
    first = ask(world, key="k")
    world.clock.advance(minutes=5)

    assert ask(world, key="k") == first
    assert len(world.executions.of("deploy")) == 1


def test_a_repeat_gives_the_first_answer_though_the_deployment_is_gone_since(world):
    first = ask(world, key="k")
    world.bring(Status.GONE)

    assert ask(world, key="k") == first
    assert world.status() is Status.GONE


def test_the_same_key_with_another_body_is_refused(world):
    ask(world, key="k")

    with pytest.raises(IdempotencyKeyReused) as caught:
        ask(world, key="k", lease="8h")

    assert caught.value.http_status == 422


def test_a_key_does_not_help_another_key_to_a_taken_name(world):
    ask(world, key="k")

    with pytest.raises(NameTaken):
        ask(world, key="another")


def test_a_repeat_while_the_first_is_under_way_is_told_to_wait(world):
    def ask_again():
        with pytest.raises(Conflict, match="still under way"):
            ask(world, key="k")

    world.deployments.shelf.meanwhile.append(ask_again)

    assert ask(world, key="k").status is Status.REQUESTED
    assert len(world.deployments.timeline("llama")) == 1


def test_a_request_that_was_refused_may_come_again_with_its_key(world):
    ask(world, "other")
    ask(world)
    with pytest.raises(NameTaken):
        ask(world, key="k", lease="8h")
    world.bring(Status.GONE)

    assert ask(world, key="k", lease="8h").generation == 2


def test_a_request_that_broke_after_its_record_was_written_goes_on_when_it_is_repeated(world):
    world.executions.refusals.append(Throttled("slow down"))
    with pytest.raises(Throttled):
        ask(world, key="k")

    view = ask(world, key="k")

    assert (view.generation, world.executions.names("deploy")) == (1, ["llama-g1"])


def test_a_process_that_died_between_record_and_answer_is_taken_over_after_a_minute(world):
    world.executions.refusals.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        ask(world, key="k")
    with pytest.raises(Conflict):
        ask(world, key="k")

    world.clock.advance(seconds=61)

    assert ask(world, key="k").generation == 1
    assert world.executions.names("deploy") == ["llama-g1"]


def test_a_request_without_a_key_that_broke_is_carried_out_by_the_sweep(world):
    world.executions.refusals.append(Unavailable("no answer"))
    with pytest.raises(Unavailable):
        ask(world)
    world.clock.advance(minutes=6)

    world.sweep()

    assert world.executions.names("deploy") == ["llama-g1"]


def test_a_retry_is_another_attempt_of_the_same_generation(world):
    world.bring(Status.FAILED)

    deployment = world.requesting.retry("llama", correlation_id="c-2")

    assert (deployment.status, deployment.generation, deployment.attempt) == (Status.REQUESTED, 1, 2)
    assert (deployment.failure, deployment.correlation_id) == (None, "c-2")
    assert world.executions.is_running("deploy", "llama-g1-r2")


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.SERVING, Status.TEARING_DOWN, Status.GONE])
def test_only_what_failed_can_be_retried(world, status):
    world.bring(status)

    with pytest.raises(IllegalTransition, match=f"is {status}; only a FAILED one"):
        world.requesting.retry("llama", correlation_id="c-2")


def test_a_renewed_lease_begins_now_and_may_be_warned_of_again(world):
    deployment = world.bring()
    warned = deployment.changed(lease=deployment.lease.changed(warned=True))
    world.deployments.shelf.write("llama", warned, deployment.version)
    world.clock.advance(hours=10)

    renewed = world.requesting.renew_lease("llama", "8h")

    assert renewed.lease.ends_at == world.clock.now() + timedelta(hours=8)
    assert not renewed.lease.warned
    assert renewed.next_look_at == renewed.lease.warn_at
    assert "lease of 8h from now" in world.deployments.timeline("llama")[-1]


def test_a_lease_becomes_permanent_only_when_somebody_says_so(world):
    world.bring()

    assert world.requesting.renew_lease("llama", "permanent").lease.ends_at is None


def test_another_keep_warm_policy_ends_a_quiet_time(world):
    world.bring()
    world.warming.scale_down("llama")

    changed = world.requesting.keep_warm("llama", office_hours())

    assert changed.quiet_until is None
    assert changed.next_look_at == NOON.replace(hour=12, minute=world.clock.now().minute) + timedelta(minutes=1)


@pytest.mark.parametrize("status", [Status.TEARING_DOWN, Status.GONE])
def test_what_is_on_its_way_out_gets_no_new_lease_and_no_new_policy(world, status):
    world.bring(status)

    with pytest.raises(IllegalTransition):
        world.requesting.renew_lease("llama", "8h")
    with pytest.raises(IllegalTransition):
        world.requesting.keep_warm("llama", office_hours())


def test_a_change_is_decided_again_when_somebody_else_was_quicker(world):
    world.bring()
    world.deployments.shelf.meanwhile.append(lambda: world.warming.scale_down("llama"))

    deployment = world.requesting.renew_lease("llama", "8h")

    assert deployment.lease.term == "8h"
    assert deployment.quiet_until is not None
