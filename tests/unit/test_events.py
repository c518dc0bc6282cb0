"""The examples in events/ are what the functions are really given: each is understood, and each has its outcome."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pilotlight import runtime as composition
from pilotlight.contracts import (
    ExecutionEvent,
    FailureTask,
    QueueBatch,
    ResultBatch,
    SpanTask,
    StagingFailureTask,
    UploadEvent,
    WakeFailureTask,
)
from pilotlight.domain import errors
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import RevisionStatus, Strategy, Update
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.invocation import Form, Invocation, InvocationStatus, Submission
from pilotlight.domain.jumpstart import Compression, Configuration, JumpStartModel, ModelData
from pilotlight.domain.serving import ServingSettings
from pilotlight.domain.values import Backend
from pilotlight.domain.webhook import Webhook
from pilotlight.services.requesting import Requesting
from pilotlight.settings import Settings

from tests import fakes
from tests.documented import breaks
from tests.factories import (
    NOON,
    a_checkpoint,
    a_deployment,
    a_hosted_deployment,
    a_proposal,
    a_serving_deployment,
    a_window,
    an_artifact,
    an_event,
    an_invocation,
    an_upload,
)
from tools.cloudformation import ROOT

EVENTS = ROOT / "events"
SOURCE = "local/small-llama"
CATALOGUED = "huggingface-llm-small"
ANSWERED = "get-invocation"
JOINED = "join-file"
HANDED_OVER = "get-invocation-handed-over"

# What the API answers to each example where `assistant` serves on Bedrock, `vectors` on an asynchronous endpoint (its
# second revision), and `house-style` has failed.
OUTCOMES = {
    "create-deployment": 202,
    "create-deployment-async": 202,
    "create-deployment-ceiling-too-low": 409,
    "create-deployment-handler": 202,
    "create-deployment-jumpstart": 202,
    "create-deployment-kill-switch-on": 503,
    "create-deployment-name-taken": 409,
    "create-deployment-not-as-json": 415,
    "create-deployment-not-json": 400,
    "create-deployment-realtime": 202,
    "create-deployment-section-on-bedrock": 422,
    "create-deployment-terms-not-accepted": 422,
    "create-deployment-unknown-instance": 422,
    "create-deployment-wrong-fields": 422,
    "create-deployment-wrong-scaling": 422,
    "delete-deployment": 202,
    "get-deployment": 200,
    "get-deployment-missing": 404,
    "get-invocation": 200,
    "get-invocation-handed-over": 200,
    "get-kill-switch": 200,
    "get-invocation-missing": 404,
    "get-openapi": 200,
    "health": 200,
    "invoke-deployment": 200,
    "invoke-deployment-cold": 202,
    "invoke-deployment-input": 202,
    "invoke-deployment-input-of-nobody": 422,
    "invoke-deployment-not-serving": 409,
    "invoke-deployment-payload": 202,
    "invoke-deployment-payload-on-bedrock": 422,
    "invoke-deployment-prefer-wait": 200,
    "invoke-deployment-raw-body": 202,
    "invoke-deployment-unknown-type": 415,
    "invoke-deployment-unsupported-parameter": 422,
    "join-file": 200,
    "join-file-missing-upload": 404,
    "list-deployments": 200,
    "list-deployments-wrong-limit": 422,
    "list-events": 200,
    "list-artifacts": 200,
    "create-deployment-artifact-too-short": 422,
    "delete-artifact": 202,
    "delete-artifact-in-use": 409,
    "list-orphans": 200,
    "list-revisions": 200,
    "list-uploads": 200,
    "place-input": 201,
    "place-input-on-bedrock": 422,
    "place-input-too-large": 422,
    "plan-upload": 200,
    "plan-upload-unseen-name": 422,
    "preflight": 200,
    "preflight-on-instances": 200,
    "preflight-unreadable-source": 422,
    "put-keep-warm": 200,
    "put-keep-warm-unknown-zone": 422,
    "put-lease": 200,
    "put-lease-wrong": 422,
    "put-spend-ceiling": 200,
    "put-spend-ceiling-wrong": 422,
    "retry-deployment": 202,
    "retry-deployment-serving": 409,
    "roll-back-deployment": 202,
    "roll-back-deployment-unknown-revision": 404,
    "scale-down-deployment": 202,
    "sign-addresses": 200,
    "sign-addresses-without-upload": 422,
    "turn-kill-switch": 200,
    "turn-kill-switch-blank-reason": 422,
    "turn-kill-switch-wrong": 422,
    "update-deployment": 202,
    "update-deployment-bounds": 202,
    "update-deployment-nothing": 422,
    "update-deployment-on-bedrock": 422,
    "update-deployment-under-way": 409,
    "warm-up-deployment": 202,
}
NAME_IS_FREE = {"create-deployment", "create-deployment-kill-switch-on"}
KILL_SWITCH_ON = {"create-deployment-kill-switch-on"}
NOT_YET_SERVING = {"invoke-deployment-not-serving"}
COLD = {"invoke-deployment-cold"}
UPDATE_UNDER_WAY = {"update-deployment-under-way"}


def example(function: str, case: str) -> Any:
    return json.loads((EVENTS / function / f"{case}.json").read_text())


@pytest.fixture(scope="module")
def api() -> Iterator[ModuleType]:
    """The module of functions/api, as Lambda imports it."""
    spec = importlib.util.spec_from_file_location("pilotlight_api", ROOT / "functions/api/app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def runtime() -> Iterator[composition.Runtime]:
    """A runtime over fakes: no client is ever made."""
    environment = {"UPLOAD_BUCKET": "uploads", "SOURCE_BUCKETS": "my-*"}
    runtime = composition.Runtime(Settings.from_environment(environment))
    clock = fakes.ManualClock()
    source = fakes.FakeSource(clock)
    source.push(SOURCE, a_checkpoint())
    vars(runtime).update(
        clock=clock,
        source=source,
        deployments=fakes.FakeDeployments(),
        artifacts=fakes.FakeArtifacts(),
        uploads=fakes.FakeUploads(),
        passes=fakes.FakePasses(),
        invocations=fakes.FakeInvocations(),
        bodies=fakes.FakeBodies(),
        queue=fakes.FakeQueue(),
        executions=fakes.FakeExecutions(),
        imports=fakes.FakeImports(clock),
        backend=fakes.FakeBackend(clock),
        in_flight=fakes.FakeInFlight(),
        backlog=fakes.FakeBacklog(),
        webhook_queue=fakes.FakeQueue(),
        journal=fakes.FakeJournal(),
        topic=fakes.FakeTopic(),
        kill_switch=fakes.FakeSwitch(),
        notices=fakes.FakeNotices(),
        capacity=fakes.FakeCapacity(),
        endpoints=fakes.FakeEndpoints(),
        autoscaling=fakes.FakeAutoscaling(),
        revisions=fakes.FakeRevisions(),
        speeds=fakes.FakeSpeeds(),
        jumpstart=fakes.FakeJumpStart({CATALOGUED: a_catalogued_model()}),
        bucket=fakes.FakeBucket(),
        upload_bucket=fakes.FakeUploadBucket(clock),
    )
    keys = fakes.FakeKeys()
    vars(runtime).update(
        requesting=Requesting(
            runtime.deployments,
            runtime.executions,
            keys,
            runtime.viewing,
            runtime.spending,
            runtime.judging,
            clock,
        ),
    )
    with composition.using(runtime):
        yield runtime


def a_catalogued_model() -> JumpStartModel:
    """Return a model of JumpStart's whose terms have to be accepted."""
    weights = ModelData(
        uri="s3://jumpstart-private-cache-prod-us-east-1/small/", compression=Compression.NONE, gated=True
    )
    lmi = Configuration(
        name="lmi",
        image="763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi27.0.0-cu130",
        data=weights,
        default_instance_type="ml.g5.xlarge",
        supported_instance_types=("ml.g5.xlarge", "ml.g5.2xlarge"),
    )
    return JumpStartModel(
        model_id=CATALOGUED,
        version="2.1.0",
        region="us-east-1",
        configurations=(lmi,),
        gated=True,
        eula_uri="s3://jumpstart-cache-prod-us-east-1/eula/small.txt",
    )


def two_revisions(runtime: composition.Runtime, artifact_id: str, *, under_way: bool) -> Deployment:
    """Return a deployment on an asynchronous endpoint that serves its second revision, or is being updated to it."""
    before = Hosting()
    after = before.changed(serving=ServingSettings(options={"max_model_len": "8192"}))
    deployment = a_hosted_deployment("vectors", instances=0, desired=1).changed(
        source=f"hf://{SOURCE}", artifact_id=artifact_id, hosting=before, proposal=a_proposal()
    )
    first = runtime.revising.first(deployment)
    second = runtime.revising.of(deployment, after, deployment.proposal, reason="longer texts")
    assert deployment.endpoint
    if under_way:
        update = Update(number=1, revision=2, previous=1, strategy=Strategy.BLUE_GREEN, started_at=NOON)
        return deployment.changed(endpoint=deployment.endpoint.changed(newest_revision=2, update=update))
    runtime.revising.mark(first, RevisionStatus.RETIRED)
    runtime.revising.mark(second, RevisionStatus.IN_SERVICE)
    return deployment.changed(hosting=after, endpoint=deployment.endpoint.changed(revision=2, newest_revision=2))


def handed_over(invocation_id: str) -> Invocation:
    """Return a call that the endpoint of `vectors` has taken."""
    submission = Submission(at=NOON, by=NOON + timedelta(hours=7), output_location="s3://a-bucket/results/1.out")
    return an_invocation(
        invocation_id,
        deployment="vectors",
        backend=Backend.SAGEMAKER_ASYNC,
        form=Form.BODY,
        status=InvocationStatus.RUNNING,
        submission=submission,
        webhook=Webhook(),
    )


def api_examples() -> list[str]:
    return sorted(path.stem for path in (EVENTS / "api").glob("*.json"))


def populate(runtime: composition.Runtime, case: str) -> None:
    """Make the deployments that the examples speak of."""
    if case in KILL_SWITCH_ON:
        runtime.spending.turn(on=True, reason="too dear", by="an example")
    artifact = runtime.artifacts.save(None, an_artifact())
    unused = "a4146667c1632ec14a16"  # pragma: allowlist secret (an id)
    runtime.artifacts.save(None, an_artifact(unused, status=ArtifactStatus.SEALED, users=()))
    assistant = a_serving_deployment("assistant", artifact_id=artifact.id)
    if case in NOT_YET_SERVING:
        assistant = assistant.changed(status=Status.STAGING)
    if case not in NAME_IS_FREE:
        runtime.deployments.reserve(assistant, an_event("made for an example"))
    if case not in COLD:
        runtime.deployments.open_window("assistant", a_window(tokens_per_second=60.0))
    runtime.deployments.reserve(a_deployment("house-style", status=Status.FAILED), an_event())
    vectors = two_revisions(runtime, artifact.id, under_way=case in UPDATE_UNDER_WAY)
    runtime.deployments.reserve(vectors, an_event())
    runtime.uploads.save(an_upload("house-style"), an_upload("house-style"))
    if case == JOINED:
        key = "uploads/house-style/model.safetensors"
        upload_bucket = vars(runtime)["upload_bucket"]
        upload_bucket.put_part(key, upload_bucket.start(key), 1, b"123456789")
    if case == ANSWERED:
        invocation_id = example("api", case)["pathParameters"]["invocation_id"]
        runtime.invocations.put(an_invocation(invocation_id, status=InvocationStatus.SUCCEEDED))
        runtime.bodies.put_output(invocation_id, {"text": "Yes."})
    if case == HANDED_OVER:
        runtime.invocations.put(handed_over(example("api", case)["pathParameters"]["invocation_id"]))


@pytest.mark.parametrize("case", api_examples())
def test_the_api_answers_each_example_as_its_name_says(
    api: ModuleType, runtime: composition.Runtime, case: str
) -> None:
    populate(runtime, case)

    response = api.app(example("api", case), SimpleNamespace(aws_request_id="r-1"))

    assert response["statusCode"] == OUTCOMES[case], response["body"]
    problem = response["statusCode"] >= 400
    assert response["headers"]["Content-Type"] == ("application/problem+json" if problem else "application/json")
    assert json.loads(response["body"])
    event = example("api", case)
    assert (
        breaks(event["httpMethod"], event["path"], response["statusCode"], response["headers"], response["body"]) == []
    )


def documented(api: ModuleType, case: str) -> tuple[int, str]:
    """Return status and code of the answer to an example, after holding it to the document."""
    event = example("api", case)
    answer = api.app(event, SimpleNamespace(aws_request_id="r-1"))
    assert breaks(event["httpMethod"], event["path"], answer["statusCode"], answer["headers"], answer["body"]) == []
    return answer["statusCode"], json.loads(answer["body"]).get("code", "")


@pytest.mark.parametrize(
    "trouble",
    [
        *(errors.SourceRefused, errors.SourceNotFound, errors.SourceGated, errors.SourceChanged),
        *(errors.BodyCutShort, errors.Throttled, errors.Unavailable, errors.AccessDenied, errors.Terminal),
    ],
)
def test_every_refusal_of_a_source_is_documented(
    api: ModuleType, runtime: composition.Runtime, trouble: type[errors.PilotlightError]
) -> None:
    vars(runtime)["source"].trouble[SOURCE] = trouble("It would not.")

    assert documented(api, "preflight") == (trouble.http_status, trouble.code)


@pytest.mark.parametrize(
    "trouble", [errors.InvocationFailed, errors.InvocationTimedOut, errors.AccessDenied, errors.Terminal]
)
def test_every_refusal_of_a_backend_is_documented(
    api: ModuleType, runtime: composition.Runtime, trouble: type[errors.PilotlightError]
) -> None:
    populate(runtime, "invoke-deployment")
    vars(runtime)["backend"].refusals.append(trouble("It would not."))

    assert documented(api, "invoke-deployment") == (trouble.http_status, trouble.code)


def test_the_document_is_given_once_and_then_only_when_it_has_changed(
    api: ModuleType, runtime: composition.Runtime
) -> None:
    event = example("api", "get-openapi")
    first = api.app(event, SimpleNamespace(aws_request_id="r-1"))
    etag = first["headers"]["ETag"]

    again, changed = (
        api.app({**event, "headers": {"If-None-Match": known}}, SimpleNamespace(aws_request_id="r-2"))
        for known in (etag, '"another"')
    )

    assert (again["statusCode"], again["body"], again["headers"]["ETag"]) == (304, "", etag)
    assert (changed["statusCode"], changed["body"]) == (200, first["body"])
    assert json.loads(first["body"])["info"]["title"] == "Pilotlight"


def test_every_route_of_the_api_has_an_example_that_succeeds(api: ModuleType) -> None:
    routes = {(method, path) for path, methods in api.app.routes.items() for method in methods}

    answered = {
        (event["httpMethod"], event["resource"])
        for case, status in OUTCOMES.items()
        if status < 300
        for event in [example("api", case)]
    }

    assert answered == routes


def test_an_example_of_a_request_is_routed_by_its_resource_path() -> None:
    for case in api_examples():
        event = example("api", case)

        assert event["requestContext"]["resourcePath"] == event["resource"], case
        assert event["requestContext"]["httpMethod"] == event["httpMethod"], case


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("import-failed", "import-failed", "Failed to load the tokenizer"),
        ("preflight-refused", "preflight-refused", "L-45B04988"),
        ("staging-failed", "source-refused", "broke"),
        ("warm-up-exhausted", "warm-up-exhausted", "no answer within"),
    ],
)
def test_a_failed_step_tells_its_code_and_its_sentence(case: str, code: str, said: str) -> None:
    error = FailureTask.model_validate(example("mark_failed", case)).error

    assert error.code == code
    assert said in error.readable
    assert "Traceback" not in error.readable


def test_a_failed_map_tells_only_that_it_failed() -> None:
    task = StagingFailureTask.model_validate(example("mark_artifact_failed", "span-failed"))

    assert task.error.code == "States.ExceedToleratedFailureThreshold"


def test_a_wake_ends_with_an_error_or_with_the_reason_for_which_it_gave_up() -> None:
    gave_up = WakeFailureTask.model_validate(example("mark_wake_failed", "gave-up"))
    superseded = WakeFailureTask.model_validate(example("mark_wake_failed", "superseded"))

    assert gave_up.probe
    assert gave_up.probe.give_up
    assert gave_up.error is None
    assert superseded.error
    assert superseded.error.code == "superseded"


def test_the_parts_of_a_span_cover_it_exactly() -> None:
    span = SpanTask.model_validate(example("copy_span", "run-of-parts")).span

    for run in span.runs:
        parts = run.parts()
        assert sum(part.size_bytes for part in parts) == run.size_bytes
        assert [part.number for part in parts] == list(range(run.first_part, run.first_part + len(parts)))
        assert parts[0].offset == run.offset


def test_an_ended_execution_tells_which_deployment_it_worked_on() -> None:
    for case in ("aborted", "failed"):
        event = ExecutionEvent.model_validate(example("fail_execution", case))

        assert event.detail.status == case.upper()
        assert event.detail.name.startswith(f"{event.detail.task.deployment}-g{event.detail.task.generation}")


def test_an_uploaded_object_tells_its_folder() -> None:
    for case in ("object-created", "marked-complete"):
        event = UploadEvent.model_validate(example("note_upload", case))

        assert event.detail.key.startswith("uploads/house-style/")


def test_a_message_of_the_queue_holds_an_id_and_no_prompt() -> None:
    queues = ("run_invocation", "fail_invocation", "deliver_webhook")
    for path in [path for queue in queues for path in EVENTS.glob(f"{queue}/*.json")]:
        batch = QueueBatch.model_validate(json.loads(path.read_text()))

        assert set(json.loads(json.loads(path.read_text())["Records"][0]["body"])) == {
            "invocation_id",
            "correlation_id",
        }
        assert batch.messages[0].body.invocation_id
        assert batch.messages[0].receives >= 1


@pytest.mark.parametrize(
    ("case", "status", "failed_at"),
    [
        ("completed", "Completed", False),
        ("expired", "Expired", False),
        ("failed", "Failed", True),
        ("failed-with-its-place-at-the-top", "Failed", True),
        ("of-nobody", "Completed", False),
    ],
)
def test_a_notice_tells_whose_result_it_is_and_where_it_lies(case: str, status: str, failed_at: bool) -> None:
    (told,) = ResultBatch.model_validate(example("note_result", case)).results

    assert (told.status, bool(told.failure_location), bool(told.failure_reason)) == (
        status,
        failed_at,
        status != "Completed",
    )
    assert bool(told.output_location and told.content_type) is (status == "Completed")
    assert told.inference_id


@pytest.mark.parametrize("message", ["", "no JSON", "[]", "5", '{"inferenceId": 5}', '{"responseParameters": []}'])
def test_a_message_that_tells_of_nothing_is_understood_as_that(message: str) -> None:
    event = example("note_result", "completed")
    event["Records"][0]["Sns"]["Message"] = message

    assert [told.inference_id for told in ResultBatch.model_validate(event).results] == [""]


def test_an_example_is_named_in_words_joined_by_hyphens() -> None:
    for path in EVENTS.rglob("*.json"):
        assert path.stem.replace("-", "").isalnum(), path
        assert path.stem == path.stem.lower(), path
