"""What a deployment measures of its model is told to whoever deploys the same model again."""

from pilotlight.domain import names
from pilotlight.domain.pricing import WindowOpener
from pilotlight.domain.source import Source
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.values import Backend, Basis

from tests.factories import HUB_SOURCE, a_hosted_deployment, a_proposal
from tests.world import World


def test_the_speed_of_an_answer_is_kept_for_the_model_and_its_instance(world: World) -> None:
    hosted = a_hosted_deployment()
    proposal = a_proposal(instance_type=hosted.endpoint.instance_type)
    deployment = hosted.changed(artifact_id="a1", proposal=proposal)
    world.metering.observe(deployment, 1, world.clock.now())

    world.accounting.answered(
        deployment, world.clock.now(), WindowOpener.INVOCATION, tokens_per_second=80.0, seconds=1.0
    )

    (measured,) = world.speeds.of("a1")
    assert measured.tokens_per_second == 80.0
    assert measured.instance_type == deployment.endpoint.instance_type
    assert measured.deployment == deployment.name


def test_an_instance_that_was_never_proposed_tells_nothing_of_how_the_model_is_split(world: World) -> None:
    deployment = a_hosted_deployment().changed(artifact_id="a1")
    world.metering.observe(deployment, 1, world.clock.now())

    world.accounting.answered(
        deployment, world.clock.now(), WindowOpener.INVOCATION, tokens_per_second=80.0, seconds=1.0
    )

    assert world.speeds.of("a1") == []


def test_a_proposal_for_the_same_model_says_that_it_was_measured(world: World) -> None:
    first = world.preflight.inspect(Source.parse(HUB_SOURCE), Backend.SAGEMAKER_ASYNC).verdict.proposal
    pinned = world.preflight.read(Source.parse(HUB_SOURCE))[0].source
    measured = Measurement(
        instance_type=first.instance_type,
        tensor_parallel_degree=first.tensor_parallel_degree,
        tokens_per_second=50.0,
        measured_at=world.clock.now(),
        deployment="llama",
    )

    world.speeds.note(names.artifact_id(pinned), measured)
    again = world.preflight.inspect(Source.parse(HUB_SOURCE), Backend.SAGEMAKER_ASYNC).verdict.proposal

    assert (first.speed_basis, again.speed_basis) == (Basis.ESTIMATED, Basis.MEASURED)
    assert again.seconds_per_token == 0.02
