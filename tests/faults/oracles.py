"""What must hold when everything is quiet again, whatever went wrong: nothing lost, leaked, doubled or stuck."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.bedrock.simulation import Model
from local.identity import ACCOUNT_ID, REGION
from tests.faults import called, dead_letters, endpoint_oracles, ledger, replaced_objects, uptimes
from tests.faults.product import STACK
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.workflows import NAME, NEIGHBOUR, Visit

UNDER_WAY = {"REQUESTED", "STAGING", "IMPORTING", "CREATING", "WARMING", "TEARING_DOWN"}
STRANGERS = ("stranger", f"{STACK}-{NAME}-g7", f"{STACK}-other-g1")
MOST_PROBES = 20  # of a wake, by the stack's own setting
MOST_CALLS = 10  # of a run, beside the probes
MOST_IN_VAIN = 100  # where calls are refused for hours: a message comes back every two minutes
FOREIGN_KEYS = ("notes/readme.txt", "artifacts-of-others/weights.bin")


def plant(stack: Stack) -> None:
    """Put into the account what is not ours: models with our kind of names, and objects beside ours."""
    tags = ({}, {}, {"pilotlight:stack": "another", "pilotlight:deployment": "other", "pilotlight:generation": "1"})
    for name, tag in zip(STRANGERS, tags, strict=True):
        plant_model(stack, name, **tag)
    for key in FOREIGN_KEYS:
        stack.client("s3").put_object(Bucket=stack.artifact_bucket, Key=key, Body=b"not ours")
    stack.client("s3").create_multipart_upload(Bucket=stack.upload_bucket, Key="uploads/somebody/model.safetensors")


def plant_model(stack: Stack, name: str, **tags: str) -> None:
    """Put somebody's imported model into the account."""
    like = next(model for model in stack.bedrock.models.values())
    arn = like.place.arn("imported-model")
    stack.bedrock.models[arn] = Model(like.place, arn, name, like.created, like.job, like.inspection, tags)


def strangers(stack: Stack) -> dict[str, str]:
    """Give the models that are not of this stack, or that no record of it knows: their names by ARN."""
    known = stack.records("DEPLOYMENT")

    def is_known(tags: dict[str, str]) -> bool:
        return tags.get("pilotlight:stack") == STACK and tags.get("pilotlight:deployment") in known

    return {arn: model.name for arn, model in stack.bedrock.models.items() if not is_known(model.tags)}


def safety(stack: Stack, visit: Visit) -> list[str]:
    """Give what is wrong."""
    of_records = [_strangers, _neighbour, _models, _records, _folders, _objects]
    of_calls = [_warm, called.wrong, _answers]
    found = [*of_records, _quiet, _doubled, *of_calls, _lost, _billed, _served, endpoint_oracles.wrong, _kept]
    return [violation for look in found for violation in look(stack, visit)]


def _strangers(stack: Stack, visit: Visit) -> Iterator[str]:
    yield from (
        f"deleted a stranger's model {name}" for arn, name in visit.strangers.items() if arn not in stack.bedrock.models
    )
    kept = _keys(stack.artifact_bucket)
    yield from (f"deleted a stranger's object {key}" for key in FOREIGN_KEYS if key not in kept)
    if not any(key.startswith("models/small/") for key in _keys(SOURCE_BUCKET)):
        yield "deleted a user's source"
    if not any(upload.key_name.startswith("uploads/somebody") for upload in _uploads(stack.upload_bucket)):
        yield "aborted a user's upload"


def _neighbour(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield what was done to a deployment that nobody meant."""
    neighbour = stack.deployment(NEIGHBOUR)
    if neighbour.get("status") != "SERVING" or neighbour["imported"]["model_arn"] not in stack.bedrock.models:
        yield f"harmed the neighbour: {neighbour.get('status')}"
    artifact = stack.records("ARTIFACT").get(neighbour.get("artifact_id", ""), {})
    if artifact.get("status") != "SEALED" or f"{NEIGHBOUR}-g1" not in artifact["users"]:
        yield f"harmed the neighbour's artifact: {artifact.get('status')}"


def _models(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield models and jobs without an owner, and owners without their model."""
    records, artifacts = stack.records("DEPLOYMENT"), stack.records("ARTIFACT")
    for model in stack.bedrock.models.values():
        if model.arn not in visit.strangers and not _owned(model.tags, records):
            yield f"model {model.name} has no owner"
    for job in stack.bedrock.jobs:
        if job.status == "InProgress" and not _owned(job.tags, records):
            yield f"import job {job.name} has no owner"
    for name, record in records.items():
        model_arn = (record.get("imported") or {}).get("model_arn")
        if record["status"] == "SERVING" and not record.get("endpoint") and model_arn not in stack.bedrock.models:
            yield f"{name} is SERVING without its model"
        if model_arn in visit.strangers:
            yield f"{name} took a stranger's model"
        artifact = artifacts.get(record.get("artifact_id") or "", {})
        if record["status"] == "SERVING" and artifact and (artifact["status"] != "SEALED" or artifact["unverified"]):
            yield f"{name} is SERVING weights that nobody verified"


def _owned(tags: dict[str, str], records: dict[str, dict[str, Any]]) -> bool:
    owner = records.get(tags.get("pilotlight:deployment", ""), {})
    return owner.get("status") not in (None, "GONE") and str(owner["generation"]) == tags.get("pilotlight:generation")


def _records(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield records that are stuck."""
    for name, record in stack.records("DEPLOYMENT").items():
        if record["status"] in UNDER_WAY:
            yield f"{name} is stuck in {record['status']}"
        if record["status"] == "FAILED" and not (record.get("failure") or {}).get("reason"):
            yield f"{name} is FAILED without a reason"
        if record.get("wake") and record["status"] not in ("SERVING", "WARMING"):
            yield f"{name} is {record['status']} and being woken"
        if record.get("wake") and datetime.fromisoformat(record["wake"]["deadline"]) < stack.clock.now():
            yield f"{name} is being woken past the deadline"
    for name, record in stack.records("ARTIFACT").items():
        if record["status"] in ("STAGING", "DELETING"):
            yield f"artifact {name} is stuck in {record['status']}"


def _folders(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield uploaded folders that are stuck."""
    for name, record in stack.records("UPLOAD").items():
        look = record.get("look_at")
        if look and record["status"] != "HELD" and datetime.fromisoformat(look) < stack.clock.now():
            yield f"folder {name} is {record['status']} and should have been looked at"
        if record["status"] == "REFUSED" and not record.get("reason"):
            yield f"folder {name} is REFUSED without a reason"


def _objects(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield objects and uploads without an owner, and artifacts that lack an object.

    Bodies of invocations are the lifecycle rule's, with or without a record.
    """
    artifacts, deployments, now = stack.records("ARTIFACT"), stack.records("DEPLOYMENT"), stack.clock.now()
    keys = _keys(stack.artifact_bucket)
    for key in keys:
        kind, _, rest = key.partition("/")
        owner = rest.partition("/")[0]
        if kind == "artifacts" and not _owned_weights(artifacts.get(owner), deployments, now):
            yield f"object {key} has no owner"
    for upload in _uploads(stack.artifact_bucket):
        owner = upload.key_name.split("/")[1]
        record = artifacts.get(owner)
        if not _owned_weights(record, deployments, now) or record["status"] == "SEALED":
            yield f"upload of {upload.key_name} has no owner"
    for name, record in deployments.items():
        weights = artifacts.get(record.get("artifact_id", ""), {})
        users = weights.get("users", ())
        if record["status"] == "SERVING" and weights.get("status") != "SEALED":
            yield f"{name} serves, and its weights are {weights.get('status')}"
        if record["status"] == "SERVING" and f"{name}-g{record['generation']}" not in users:
            yield f"{name} is no user of its artifact"
    yield from (f"object {key} is not what was listed" for key in replaced_objects.taken(stack.artifact_bucket))
    for name, record in artifacts.items():
        if record["status"] == "SEALED" and f"artifacts/{name}/manifest.json" not in keys:
            yield f"artifact {name} is SEALED without a manifest"


def _owned_weights(artifact: dict[str, Any] | None, deployments: dict[str, dict[str, Any]], now: datetime) -> bool:
    """Say whether a live deployment uses an artifact, or nobody does and it is to be kept for now."""
    if artifact is None or artifact["status"] == "GONE":
        return False
    if not artifact["users"]:
        keep = artifact.get("keep", "")
        days = int(keep.removeprefix("collect_after:").removesuffix("d")) if keep.startswith("collect_after:") else 0
        last_used = datetime.fromisoformat(artifact["last_used_at"])
        return keep == "retain" or now < last_used + timedelta(days=days)
    for user in artifact["users"]:
        name, _, generation = user.rpartition("-g")
        record = deployments.get(name, {})
        if str(record.get("generation")) == generation and record["status"] != "GONE":
            return True
    return False


def _quiet(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield what is still at work."""
    for machine in stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines:
        for execution in machine.executions:
            if execution.status == "RUNNING":
                yield f"execution {execution.name} of {machine.name} still runs"
    kept = dead_letters.dead_letter_queues()  # what lies there is judged apart
    for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values():
        if queue._messages and queue not in kept:
            yield f"{len(queue._messages)} messages are left in {queue.name}"


def _doubled(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield what was made twice."""
    models = Counter(model.name for model in stack.bedrock.models.values())
    yield from (f"{count} models are named {name}" for name, count in models.items() if count > 1)
    jobs = Counter(job.name for job in stack.bedrock.jobs)
    yield from (f"{count} jobs are named {name}" for name, count in jobs.items() if count > 1)
    made = Counter(
        (job.tags.get("pilotlight:deployment"), job.tags.get("pilotlight:generation"))
        for job in stack.bedrock.jobs
        if job.status != "Failed"
    )
    yield from (f"{of[0]} generation {of[1]} was imported {count} times" for of, count in made.items() if count > 1)
    if not visit.scaled_down:  # which ends a wake for the next to come; its execution sees it at its next probe
        yield from _wakes_at_once(stack)
    told = (json.loads(execution.execution_input) for execution in _executions("deploy"))
    tries = Counter((work["deployment"], work["generation"], work["attempt"]) for work in told)
    yield from (f"attempt {each} was carried out {count} times" for each, count in tries.items() if count > 1)
    if extra := set(stack.records("DEPLOYMENT")) - {NAME, NEIGHBOUR} - visit.may_be_made:
        yield f"made up deployments {extra}"


def _wakes_at_once(stack: Stack) -> Iterator[str]:
    """Yield executions that wake the same model at the same time."""
    before: dict[tuple[str, int], tuple[datetime, datetime]] = {}
    for execution in _executions("warm"):
        work = json.loads(execution.execution_input)
        whose = work["deployment"], work["generation"]
        began, ended = before.get(whose, (None, datetime.min.replace(tzinfo=UTC)))
        if execution.start_date < ended or execution.start_date == began:
            yield f"{whose[0]} was woken twice at the same time"
        before[whose] = execution.start_date, execution.stop_date or stack.clock.now()


def _executions(machine_name: str) -> list[Any]:
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    (machine,) = (each for each in machines if each.name == f"{STACK}-{machine_name}")
    return sorted(machine.executions, key=lambda execution: execution.start_date)


def _warm(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield models that are kept warm though nobody asks for it any more."""
    wanted = {
        record["imported"]["model_arn"]
        for record in stack.records("DEPLOYMENT").values()
        if record["status"] == "SERVING" and record["keep_warm"]["policy"] == "always" and not record.get("quiet_until")
    }
    for arn, model in stack.bedrock.models.items():
        if arn not in visit.strangers and arn not in wanted and stack.bedrock.is_warm(arn):
            yield f"model {model.name} is still warm"
    wakes, made = len(_executions("warm")), stack.seam.made["bedrock-runtime.InvokeModel"]
    if made > wakes * MOST_PROBES + (MOST_CALLS if visit.withstood else MOST_IN_VAIN):
        yield f"called a model {made} times, in {wakes} wakes"


def _answers(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield users who gave up, and a harness that did."""
    if visit.withstood:
        yield from (f"a user was told to come again to the end: {what}" for what in visit.unheard)
        yield from stack.gave_up


def _lost(stack: Stack, visit: Visit) -> Iterator[str]:
    """Yield events that nobody handled, what became of those, and errors of handlers that are none of ours."""
    if visit.withstood:
        yield from (f"an event of {name} is lost" for name, _ in stack.lambdas.lost)
    yield from dead_letters.astray(stack.lambdas.lost)
    yield from stack.lambdas.unexpected


def _billed(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield billing windows that nobody should have opened, or that nobody noted."""
    yield from stack.billing.wrong
    yield from stack.billing.unbooked()
    yield from ledger.wrong(stack)
    if not stack.seam.met:
        yield from ledger.unbilled(stack)


def _served(stack: Stack, _: Visit) -> Iterator[str]:
    """Yield deployments that were said to serve before their model had ever answered."""
    for name in stack.records("DEPLOYMENT"):
        for event in ledger.lines(stack, name, "EVENT"):
            began = ledger.billed(stack, name, event["generation"])
            at = datetime.fromisoformat(event["at"]).timestamp()
            ran = any(time.start <= at for time in uptimes.billed(stack, name, event["generation"]))
            if event.get("after") == "SERVING" and not ran and not any(window.start <= at for window in began):
                yield f"{name} was SERVING at {event['at']} and had not answered"


def _kept(_: Stack, visit: Visit) -> Iterator[str]:
    """Yield what a workflow promises beside its end, and was not so."""
    yield from (f"not so: {what}" for what, is_so in visit.kept.items() if not is_so)


def _keys(bucket: str) -> set[str]:
    return set(dict.keys(s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].keys))


def _uploads(bucket: str) -> list[Any]:
    return list(s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].multiparts.values())
