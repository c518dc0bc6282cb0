"""The workflows, each declared once: where it begins, who does what, and what it promises.

Which calls it makes, a run without a fault tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from tests.faults.answer import Answer
from tests.faults.hubs import LARGE_MODEL, SAME_SHARDS
from tests.faults.stack import SOURCE_BUCKET, Stack

NAME = "one"
NEIGHBOUR = "neighbour"
DONOR = "donor"
HUB_SOURCE, SAME_SHARDS_SOURCE = f"hf://{LARGE_MODEL}", f"hf://{SAME_SHARDS}"
TRIES = 8  # of a client that meets a fault of the server, or its own request still under way
PAUSE_SECONDS = 70
PROMPT = {"prompt": "Why is the sky blue?", "parameters": {"max_tokens": 16}}
STAGING = (*("start_staging", "plan_staging", "copy_span", "seal_artifact", "check_staging", "mark_artifact_failed"),)


def everything(_: str) -> bool:
    """Watch every function."""
    return True


def stages(function: str) -> bool:
    """Watch what stages an artifact."""
    return function in STAGING


def but_sweeps(function: str) -> bool:
    """Watch every function but those that schedules start."""
    return function not in ("sweep", "reconcile")


@dataclass(frozen=True)
class Workflow:
    """One workflow. `ends` says from the stack whether it has done what it is for.

    `begin` brings the stack to where the workflow begins, `drive` is what users do and what time does to it.
    """

    name: str
    begin: Callable[[Stack], None]
    drive: Callable[[Stack, Visit], object]
    ends: Callable[[Stack, Visit], bool]
    watched: Callable[[str], bool] = but_sweeps
    alive: bool = False  # it begins while executions run: those cannot be put back, and it begins anew each time
    size: str = "small"  # of the model that somebody else asks for by the same name, where a fault lets him
    swept: bool = True  # every single fault in it, and pairs: or as it is only, where its calls are swept elsewhere
    hosted: bool = False  # on instances: the sweep of each minute looks at them, whatever users do


@dataclass
class Visit:
    """What the users of one run remember."""

    asks: bool = False  # somebody calls the model
    invocation: str | None = None  # what he was told to ask for
    answer: Answer | None = None  # what the model answered him at once
    answers: list[int] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)  # requests that were never answered for good
    removed: bool = False  # somebody asked for its removal
    removing: int = 1  # the newest generation whose removal was asked for: none before it is left, either
    refused: Answer | None = None
    strangers: dict[str, str] = field(default_factory=dict)  # models that are not ours, as they were
    hosted_strangers: set[str] = field(default_factory=set)  # what there was of endpoints that are not ours
    removed_at_once: int = 0  # by the first reconciliation
    was_still: bool = False  # nothing was spent or created with the kill switch on
    young_is_left: bool = False  # after the first reconciliation
    kept: dict[str, bool] = field(default_factory=dict)  # what was promised, and whether it was so
    so: dict[str, bool] = field(default_factory=dict)  # what has to come, though a fault may put it off
    withstood: bool = True  # nothing went wrong for longer than users and events try again
    scaled_down: bool = False  # by somebody who came between
    may_be_made: set[str] = field(default_factory=set)  # deployments beside the one that it is about
    may_ask_again: int = 0  # times that an answer may have been lost before it was kept
    may_be_unsent: int = 0  # invocations that a fault kept from the queue: whoever asked was told of it

    def anew(self) -> Visit:
        """Give the visit of those who ask once more, after all faults: what had happened by then has happened."""
        stays = (
            "strangers",
            "hosted_strangers",
            "withstood",
            "may_be_made",
            "may_ask_again",
            "may_be_unsent",
            "removing",
        )
        return Visit(**{name: getattr(self, name) for name in stays})


WORKFLOWS: dict[str, Workflow] = {}


def declare(workflow: Workflow) -> Workflow:
    """Let a workflow be swept."""
    WORKFLOWS[workflow.name] = workflow
    return workflow


# ---- what users do ---------------------------------------------------------------------------------------------------


def insist(stack: Stack, visit: Visit, *request: Any, **more: Any) -> Answer:
    """Ask the API until it answers without a fault of its own, as a client does; the same key each time."""
    for _ in range(TRIES):
        answer = stack.ask(*request, **more)
        if answer.is_final:
            break
        stack.clock.sleep(PAUSE_SECONDS)
    else:
        visit.unheard.append(f"{request[0]} {request[1]}: {answer.status} {answer.body}")
    visit.answers.append(answer.status)
    return answer


def wanted(size: str, **fields: Any) -> dict[str, Any]:
    """Give the request of a deployment; unless it says otherwise, its weights go with it."""
    source = f"s3://{SOURCE_BUCKET}/models/{size}/"
    usual = {"lease": "permanent", "keep_warm": {"policy": "none"}, "artifact": "delete"}
    return {"name": NAME, "source": source, **usual, **fields}


def deploy(stack: Stack, visit: Visit, size: str, *, key: str = "first", **fields: Any) -> None:
    """Ask for a deployment, and see it to its end."""
    insist(stack, visit, "POST", "/deployments", wanted(size, **fields), key=key)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))


def tear_down(stack: Stack, visit: Visit) -> bool:
    """Ask for the removal, and see it to its end; give whether it was accepted."""
    generation = stack.deployment(NAME).get("generation", 1)
    answer = insist(stack, visit, "DELETE", "/deployments/{name}", name=NAME)
    accepted = answer.status == HTTPStatus.ACCEPTED
    if accepted or not answer.is_final:  # unheard, it may have been taken
        visit.removed, visit.removing = True, max(visit.removing, generation)
    stack.settle(lambda: is_gone(stack, visit))
    return accepted


def serves(stack: Stack, _: Visit) -> bool:
    """Say whether the deployment takes invocations."""
    return stack.status(NAME) == "SERVING"


def is_gone(stack: Stack, visit: Visit) -> bool:
    """Say whether the generation that was to go is gone: its name may be somebody else's by now."""
    record = stack.deployment(NAME)
    return record.get("status") in (None, "GONE") or record["generation"] > visit.removing


# ---- where workflows begin -------------------------------------------------------------------------------------------


def nothing(_: Stack) -> None:
    """Begin beside a neighbour only."""


def serving(size: str, **fields: Any) -> Callable[[Stack], None]:
    """Begin with a deployment that serves, and has gone cold."""

    def begin(stack: Stack) -> None:
        deploy(stack, Visit(), size, **fields)
        assert stack.status(NAME) == "SERVING", stack.deployment(NAME)
        if "lease" not in fields:
            stack.clock.sleep(900)

    return begin


def importing(stack: Stack) -> None:
    """Begin while the import job of a deployment runs."""
    insist(stack, Visit(), "POST", "/deployments", wanted("small"), key="first")
    stack.clock.sleep(12)
    assert stack.status(NAME) == "IMPORTING", stack.deployment(NAME)


def failed(stack: Stack) -> None:
    """Begin with a deployment whose import failed."""
    stack.bedrock.knobs.fail_next_import = "out of luck"
    deploy(stack, Visit(), "small")
    assert stack.status(NAME) == "FAILED", stack.deployment(NAME)
    stack.calm()


# ---- the workflows ---------------------------------------------------------------------------------------------------


def warm_up(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME)
    stack.settle(lambda: is_warm(stack, visit))


def is_warm(stack: Stack, _: Visit) -> bool:
    outcome = stack.deployment(NAME).get("last_wake") or {}
    return bool(outcome.get("warm")) and not stack.deployment(NAME).get("wake")


def _keep_warm_then_scale_down(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "always"}}, name=NAME)
    for _ in range(6):
        stack.clock.sleep(60)
        stack.sweep()
    insist(stack, visit, "POST", "/deployments/{name}/scale-down", name=NAME)
    for _ in range(6):
        stack.clock.sleep(180)
        stack.sweep()


def _scaled_down(stack: Stack, visit: Visit) -> bool:
    record = stack.deployment(NAME)
    return record["status"] == "SERVING" and "quiet_until" in record and not record.get("wake")


def _let_the_lease_end(stack: Stack, _: Visit) -> None:
    stack.settle(lambda: is_gone(stack, Visit()))


def _retry(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))


def upload_folder(stack: Stack, after_each: Callable[[], None] = lambda: None) -> None:
    """Upload a checkpoint as a user does, one file after the other."""
    s3 = stack.client("s3")
    listed = s3.list_objects_v2(Bucket=SOURCE_BUCKET, Prefix="models/small/")["Contents"]
    for each in listed:
        body = s3.get_object(Bucket=SOURCE_BUCKET, Key=each["Key"])["Body"].read()
        key = each["Key"].replace("models/small/", f"uploads/{NAME}/")
        s3.put_object(Bucket=stack.upload_bucket, Key=key, Body=body)
        after_each()
        stack.clock.sleep(1)


def _upload(stack: Stack, _: Visit) -> None:
    upload_folder(stack)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))


def _gone_before(stack: Stack) -> None:
    deploy(stack, Visit(), "small")
    tear_down(stack, Visit())
    assert stack.status(NAME) == "GONE", stack.deployment(NAME)


def _next_generation(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "POST", "/deployments", wanted("small"), key="next")
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))


def _taken_by_a_stranger(stack: Stack) -> None:
    from tests.faults.oracles import plant_model

    plant_model(stack, f"pilotlight-{NAME}-g1")


def _meet_the_stranger(stack: Stack, visit: Visit) -> None:
    deploy(stack, visit, "small")
    tear_down(stack, visit)


def _orphaned(stack: Stack) -> None:
    """Begin with a model, an object and an upload that somebody made after their deployment was GONE.

    Beside them lie another stack's model of the same names, and one of ours that no record knows: the record is lost.
    """
    from tests.faults.oracles import plant_model

    serving("large")(stack)  # its weights are nobody else's
    tear_down(stack, Visit())
    tags = {"pilotlight:stack": "pilotlight", "pilotlight:deployment": NAME, "pilotlight:generation": "1"}
    plant_model(stack, f"pilotlight-{NAME}-g1", **tags)
    plant_model(stack, "pilotlight-theirs-g1", **{**tags, "pilotlight:stack": "another"})
    plant_model(stack, "pilotlight-unknown-g1", **{**tags, "pilotlight:deployment": "unknown"})
    (erased,) = (name for name, record in stack.records("ARTIFACT").items() if record["status"] == "GONE")
    s3, folder = stack.client("s3"), f"artifacts/{erased}/weights/"
    s3.put_object(Bucket=stack.artifact_bucket, Key=f"{folder}config.json", Body=b"{}")
    s3.create_multipart_upload(Bucket=stack.artifact_bucket, Key=f"{folder}model.safetensors")
    stack.clock.sleep(2 * 86_400)  # what is young, nobody takes for lost


def reconciles(function: str) -> bool:
    """Watch the reconciliation."""
    return function == "reconcile"


def reconcile(stack: Stack, _: Visit) -> None:
    stack.reconcile(passes=4)


def _nothing_lost(stack: Stack, _: Visit) -> bool:
    gone = [name for name, record in stack.records("ARTIFACT").items() if record["status"] == "GONE"]
    s3, bucket = stack.client("s3"), stack.artifact_bucket
    listed = [s3.list_objects_v2(Bucket=bucket, Prefix=f"artifacts/{name}/")["KeyCount"] for name in gone]
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    models = {model.name for model in stack.bedrock.models.values()}
    return not any(listed) and not uploads and f"pilotlight-{NAME}-g1" not in models


def held_by_another(stack: Stack) -> None:
    """Begin beside a model on the hub that has the same shard."""
    insist(stack, Visit(), "POST", "/deployments", wanted("large", name=DONOR, source=HUB_SOURCE), key=DONOR)
    stack.settle(lambda: stack.status(DONOR) == "SERVING")


def _stage_again(stack: Stack, visit: Visit) -> None:
    visit.may_be_made.add(DONOR)
    deploy(stack, visit, "large", source=SAME_SHARDS_SOURCE)


declare(Workflow("stage", nothing, lambda s, v: deploy(s, v, "large", source=HUB_SOURCE), serves, watched=stages))
declare(Workflow("stage-s3", nothing, lambda s, v: deploy(s, v, "large"), serves, watched=stages))
declare(Workflow("stage-again", held_by_another, _stage_again, serves, watched=stages))
declare(Workflow("deploy", nothing, lambda s, v: deploy(s, v, "small"), serves))
declare(Workflow("warm-up", serving("small"), warm_up, is_warm))
declare(Workflow("scale-down", serving("small"), _keep_warm_then_scale_down, _scaled_down, watched=everything))
declare(Workflow("lease", serving("small", lease="2h"), _let_the_lease_end, is_gone, watched=everything))
declare(Workflow("teardown", serving("large"), tear_down, is_gone))
declare(Workflow("teardown-import", importing, tear_down, is_gone, alive=True))
declare(Workflow("retry", failed, _retry, serves))
declare(Workflow("stranger", _taken_by_a_stranger, _meet_the_stranger, is_gone))
declare(Workflow("reconcile", _orphaned, reconcile, _nothing_lost, watched=reconciles, size="large"))
declare(Workflow("redeploy", _gone_before, _next_generation, serves))
declare(Workflow("upload", nothing, _upload, serves, watched=lambda f: f in ("note_upload", "sweep")))
