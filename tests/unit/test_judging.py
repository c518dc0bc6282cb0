"""Whoever asks is told at once whether a backend would take a model, whatever its source."""

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import InvalidInput, PreflightRefused, SourceGated
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.preflight import Outcome
from pilotlight.domain.source import Source
from pilotlight.domain.values import Backend

from tests.unit.test_revising import REGION, jumpstart

ASYNC, REALTIME, BEDROCK = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME, Backend.BEDROCK
HUB, STARTER = Source.parse("hf://acme/llama-8b"), Source.parse("jumpstart://text-small")


def judge(world, source, backend, **sections):
    hosting = Hosting.model_validate(sections) if backend.is_endpoint else None
    return world.judging.judge(source, backend, hosting)


def checks(verdict):
    return {check.name: check for check in verdict.checks}


@pytest.mark.parametrize("backend", list(Backend))
def test_a_checkpoint_is_judged_at_the_commit_that_its_source_has_now(world, backend):
    pinned, verdict = judge(world, HUB, backend)

    assert verdict.accepted
    assert (pinned.location, len(pinned.revision)) == ("acme/llama-8b", 40)
    assert (verdict.proposal is None) == (backend is BEDROCK)


def test_a_jumpstart_model_is_judged_by_its_spec_at_the_version_there_is(world):
    jumpstart(world)

    pinned, verdict = judge(world, STARTER, REALTIME)

    assert (str(pinned), verdict.accepted, verdict.proposal) == ("jumpstart://text-small@2.1.0", True, None)
    price = rate_of("ml.g5.xlarge", REGION).usd_per_hour
    assert checks(verdict)["instance"].found == f"ml.g5.xlarge, ${price:.2f} an hour"
    assert checks(verdict)["instance"].supported == "ml.g5.xlarge, ml.g5.12xlarge"
    assert checks(verdict)["terms"].found == "none to accept"


def test_the_instance_that_was_named_is_the_one_that_is_priced(world):
    jumpstart(world)

    _, verdict = judge(world, STARTER, REALTIME, instance={"type": "ml.g5.12xlarge"})

    assert checks(verdict)["instance"].found.startswith("ml.g5.12xlarge, $7.09")


def test_terms_that_are_accepted_are_told_to_be(world):
    jumpstart(world, gated=True)

    _, verdict = judge(world, STARTER, REALTIME, accept_eula=True)

    assert checks(verdict)["terms"].found == "accepted"
    with pytest.raises(SourceGated):
        judge(world, STARTER, REALTIME)


def test_a_jumpstart_model_on_bedrock_is_a_verdict_and_where_it_is_required_a_refusal(world):
    jumpstart(world)

    _, verdict = judge(world, STARTER, BEDROCK)

    (check,) = verdict.refusals
    assert (check.outcome, check.supported) == (Outcome.REFUSED, "sagemaker-async, sagemaker-realtime")
    with pytest.raises(PreflightRefused, match=r"would not take jumpstart://text-small@2\.1\.0"):
        world.judging.require(STARTER, BEDROCK, None)


def test_a_jumpstart_model_needs_no_proposal(world):
    jumpstart(world)

    assert world.judging.require(STARTER, REALTIME, Hosting()) is None


def test_what_is_required_of_a_checkpoint_is_the_instance_to_run_it_on(world):
    named = Hosting.model_validate({"instance": {"type": "ml.g5.2xlarge"}})

    assert world.judging.require(HUB, ASYNC, named).instance_type == "ml.g5.2xlarge"
    assert world.judging.require(HUB, BEDROCK, None) is None


def test_everything_that_is_wrong_is_told_at_once(world):
    wrong = Hosting.model_validate(
        {"instance": {"type": "ml.g5.3xlarge"}, "serving": {"tensor_parallel_degree": 3, "quantize": "awq"}}
    )

    with pytest.raises(PreflightRefused) as refused:
        world.judging.require(HUB, ASYNC, wrong)

    assert "(1)" in refused.value.message
    assert "(2)" in refused.value.message


@pytest.mark.parametrize("container", [{"version": "0.1.0-lmi1.0.0-cu1"}, {"inference_ami_version": "al1"}], ids=str)
def test_a_container_that_there_is_not_is_refused_by_verdict_and_requirement_alike(world, container):
    wrong = Hosting.model_validate({"container": container})

    with pytest.raises(InvalidInput):
        world.judging.judge(HUB, ASYNC, wrong)
    with pytest.raises(InvalidInput):
        world.judging.require(HUB, ASYNC, wrong)


def test_what_is_judged_before_a_name_is_taken_is_judged_again_by_the_machine(world):
    world.host(Status.REQUESTED)
    world.source.push("acme/llama-8b", {"config.json": b'{"model_type": "llama"}'})

    with pytest.raises(PreflightRefused):
        world.deploying.start_staging(world.task())
