"""What instances could not host is refused when it is asked for, with words that say what would work."""

import pytest
from pilotlight.contracts import PreflightRequest, RollbackRequest, UpdateRequest, UploadSettings
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    InvalidInput,
    PilotlightError,
    PreflightRefused,
    SourceGated,
    SourceNotFound,
    SpendCeilingReached,
    Unavailable,
)
from pilotlight.domain.values import Backend
from pydantic import ValidationError

from tests.factories import a_checkpoint, a_request
from tests.unit.test_revising import jumpstart

ASYNC, REALTIME, BEDROCK = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME, Backend.BEDROCK
LARGE = {"hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8}
OWN_IMAGE = {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"}


def ask(world, backend=ASYNC, **request):
    return world.requesting.request(a_request(backend=backend, **request), correlation_id="c-1")


def refused(world, kind=PilotlightError, backend=ASYNC, **request):
    """Return with what words a request is refused, after seeing that it left nothing behind."""
    with pytest.raises(kind) as told:
        ask(world, backend, **request)
    assert world.deployments.find("llama") is None, "a name is taken"
    assert world.executions.of("deploy") == []
    assert told.value.http_status == 422
    return told.value


# ---- accepted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_a_model_that_instances_can_host_is_taken_with_the_sections_as_they_were_said(world, backend):
    view = ask(world, backend, instance={"optimize_for": "latency"}, container={"environment": {"A": "b"}})

    deployment = world.deployment()
    assert (view.status, deployment.backend) == (Status.REQUESTED, backend)
    assert deployment.hosting.instance.optimize_for == "latency"
    assert deployment.hosting.container.environment == {"A": "b"}


def test_bedrock_needs_no_section_and_is_judged_by_its_machine(world):
    assert ask(world, BEDROCK).status is Status.REQUESTED
    assert world.deployment().hosting is None


def test_a_source_that_does_not_answer_just_now_is_judged_by_the_machine(world):
    def silent(_source):
        raise Unavailable("the hub does not answer")

    world.source.resolve = silent

    assert ask(world).status is Status.REQUESTED


def test_the_same_request_twice_under_a_key_is_one_deployment(world):
    first = world.requesting.request(a_request(backend=ASYNC), correlation_id="c-1", idempotency_key="k")

    assert world.requesting.request(a_request(backend=ASYNC), correlation_id="c-2", idempotency_key="k") == first


def test_a_refused_request_does_not_use_up_its_key(world):
    key = "k"
    with pytest.raises(PreflightRefused):
        world.requesting.request(
            a_request(backend=ASYNC, instance={"type": "ml.g5.3xlarge"}), correlation_id="c-1", idempotency_key=key
        )

    fixed = a_request(backend=ASYNC, instance={"type": "ml.g5.2xlarge"})
    assert world.requesting.request(fixed, correlation_id="c-1", idempotency_key=key).status is Status.REQUESTED


# ---- sections of another backend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("section", ["instance", "scaling", "serving", "container"])
def test_a_section_with_bedrock_is_refused_with_the_backends_that_have_it(world, section):
    told = refused(world, InvalidInput, BEDROCK, **{section: {}})

    assert told.detail["field"] == section
    assert "leave it out, or choose the backend sagemaker-async or sagemaker-realtime" in told.message


@pytest.mark.parametrize(
    ("backend", "scaling", "advice"),
    [
        (ASYNC, {"invocations_per_instance": 3}, "set backlog_per_instance"),
        (ASYNC, {"components": True}, "leave components out"),
        (REALTIME, {"backlog_per_instance": 3}, "scales by invocations_per_instance"),
        (REALTIME, {"concurrent_invocations": 3}, "scales by invocations_per_instance"),
        (REALTIME, {"scale_in": "immediate"}, "set components for scale to zero"),
        (REALTIME, {"min": 0}, "or min 1"),
    ],
    ids=str,
)
def test_scaling_that_a_backend_does_not_have_is_refused_with_what_it_has(world, backend, scaling, advice):
    assert advice in refused(world, InvalidInput, backend, scaling=scaling).message


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"scaling": {"min": 3, "max": 2}}, "min must not be more than max"),
        ({"scaling": {"initial": 3, "max": 2}}, "initial must not be more than max"),
        ({"scaling": {"disable_scale_in": True, "scale_in": "immediate"}}, "leave one of them out"),
        ({"instance": {"type": "g5.xlarge"}}, "instance.type"),
        ({"instance": {"kind": "ml.g5.xlarge"}}, "instance.kind"),
        ({"serving": {"max_rolling_batch": 8}}, "max_rolling_batch_size"),
        ({"serving": {"options": {"tensor_parallel_degree": "4"}}}, "tensor_parallel_degree"),
        ({"container": {**OWN_IMAGE, "version": "0.33.0-lmi15.0.0-cu128"}}, "leave one of them out"),
        ({"accept_eula": "yes"}, "accept_eula"),
    ],
    ids=str,
)
def test_what_is_wrong_by_itself_is_no_request(sections, said):
    with pytest.raises(ValidationError, match=said):
        a_request(backend=ASYNC, **sections)


def test_a_folder_may_say_the_same_and_is_held_to_the_same():
    settings = UploadSettings.model_validate({"backend": "sagemaker-async", "scaling": {"max": 2}})
    assert settings.hosting.scaling.max == 2

    with pytest.raises(InvalidInput, match="set backlog_per_instance"):
        _ = UploadSettings.model_validate(
            {"backend": "sagemaker-async", "scaling": {"invocations_per_instance": 2}}
        ).hosting


def test_a_preflight_is_held_to_the_same():
    with pytest.raises(InvalidInput, match="is for instances"):
        _ = PreflightRequest.model_validate({"source": "hf://a/b", "instance": {}}).hosting


@pytest.mark.parametrize("body", [{"revision": 0}, {"revision": -1}, {"strategy": "canary"}, {"to": 1}], ids=str)
def test_a_rollback_names_a_revision_and_a_strategy_that_there_may_be(body):
    with pytest.raises(ValidationError):
        RollbackRequest.model_validate(body)


@pytest.mark.parametrize("body", [{"source": "hf://a/b"}, {"backend": "bedrock"}, {"accept_eula": True}], ids=str)
def test_an_update_changes_settings_and_neither_source_nor_backend(body):
    with pytest.raises(ValidationError):
        UpdateRequest.model_validate({"container": {}, **body})


# ---- what there is not, or not here, or is too large ---------------------------------------------------------------


def test_an_unknown_instance_is_refused_with_near_ones(world):
    told = refused(world, PreflightRefused, instance={"type": "ml.g5.3xlarge"})

    assert "ml.g5.2xlarge" in told.message


def test_an_instance_that_is_too_small_is_refused_with_those_that_hold_the_model(world):
    world.source.push("acme/llama-70b", a_large_checkpoint())

    instance = {"type": "ml.g5.xlarge", "context_tokens": 8192, "concurrency": 16}
    told = refused(world, PreflightRefused, source="hf://acme/llama-70b", instance=instance)

    assert "of cache for 8192 tokens, 16 at once" in told.message
    assert "It fits ml.g4dn.12xlarge (tensor parallel 4" in told.message


def test_a_degree_that_does_not_divide_the_model_is_refused_with_those_that_do(world):
    world.source.push("acme/llama-70b", a_large_checkpoint())

    told = refused(
        world,
        PreflightRefused,
        source="hf://acme/llama-70b",
        serving={"tensor_parallel_degree": 7},
        instance={"type": "ml.p4d.24xlarge"},
    )

    assert "7" in told.message
    assert "8" in told.message


def test_more_accelerators_than_the_instance_has_are_refused(world):
    told = refused(world, PilotlightError, serving={"tensor_parallel_degree": 4}, instance={"type": "ml.g5.xlarge"})

    assert "ml.g5.xlarge" in told.message


def test_an_unknown_version_of_lmi_is_refused_with_the_known_ones(world):
    told = refused(world, InvalidInput, container={"version": "0.1.0-lmi1.0.0-cu1"})

    assert told.detail["field"] == "container.version"
    assert "lmi" in told.message.partition("0.1.0-lmi1.0.0-cu1")[2]


def test_an_image_of_another_region_is_refused_with_this_one(world):
    elsewhere = "123456789012.dkr.ecr.ap-south-1.amazonaws.com/mine:1"

    told = refused(world, InvalidInput, container={"image": elsewhere})

    assert "us-east-1" in told.message


def test_a_checkpoint_that_there_is_not_is_refused(world):
    assert "acme/nothing" in refused(world, SourceNotFound, source="hf://acme/nothing").message


def test_a_ceiling_that_pays_for_no_start_is_refused_before_anything_is_staged(world):
    with pytest.raises(SpendCeilingReached, match="an instance for 10 minutes"):
        ask(world, instance={"type": "ml.g5.xlarge"}, spend_ceiling={"usd": 0.01})

    assert world.deployments.find("llama") is None


# ---- JumpStart ---------------------------------------------------------------------------------------------------


def ask_jumpstart(world, backend=REALTIME, **request):
    return ask(world, backend, source="jumpstart://text-small", **request)


def test_a_jumpstart_model_is_taken_for_instances(world):
    jumpstart(world)

    assert ask_jumpstart(world).status is Status.REQUESTED


def test_a_jumpstart_model_with_bedrock_is_refused_with_the_backends_that_take_it(world):
    jumpstart(world)

    told = refused(world, PreflightRefused, BEDROCK, source="jumpstart://text-small")

    assert "choose one of these backends" in told.message
    assert "sagemaker-realtime" in told.message


@pytest.mark.parametrize(
    "sections",
    [
        {"container": OWN_IMAGE},
        {"container": {"version": "0.33.0-lmi15.0.0-cu128"}},
        {"serving": {"dtype": "bf16"}},
        {"serving": {"files": {"model.py": "def handle(inputs):\n    return 1\n"}}},
    ],
    ids=str,
)
def test_a_jumpstart_model_brings_its_container_and_takes_no_other(world, sections):
    jumpstart(world)

    told = refused(world, InvalidInput, REALTIME, source="jumpstart://text-small", **sections)

    assert "only container.environment can be set" in told.message


def test_a_jumpstart_model_that_there_is_not_is_refused(world):
    assert "text-small" in refused(world, SourceNotFound, REALTIME, source="jumpstart://text-small").message


def test_gated_terms_that_nobody_accepted_are_refused_and_named(world):
    jumpstart(world, gated=True)

    told = refused(world, SourceGated, REALTIME, source="jumpstart://text-small")
    assert "accept_eula" in told.message
    assert ask_jumpstart(world, accept_eula=True).status is Status.REQUESTED


def test_an_instance_on_which_a_jumpstart_model_does_not_run_is_refused_with_those_on_which_it_does(world):
    jumpstart(world)

    told = refused(world, PilotlightError, source="jumpstart://text-small", instance={"type": "ml.p4d.24xlarge"})

    assert "ml.g5.xlarge" in told.message


def test_a_jumpstart_model_is_deployed_without_staging_a_byte(world):
    jumpstart(world)

    deployment = world.host(backend=REALTIME, source="jumpstart://text-small")

    assert (deployment.status, deployment.artifact_id, deployment.revision) == (Status.SERVING, None, "2.1.0")
    assert world.executions.of("stage_artifact") == []


def a_large_checkpoint():
    """Return a checkpoint whose texts take as much memory beside the weights as a 70B's."""
    return a_checkpoint(config={**LARGE, "vocab_size": 128_256, "intermediate_size": 28_672})
