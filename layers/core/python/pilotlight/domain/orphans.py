"""Whose is it? One pure judgement for each kind of thing that a reconciliation lists; None is "nothing to say".

Nothing without our tags or our names is judged at all, nothing of a live generation is removed, and what is in use
is never an orphan. Something is removed only by a record that says that it is over: where there is no record, a
person is told.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import UNDER_WAY, Deployment, Status
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.reconciliation import Decision, Scene, Verdict, removed_when_old, told_when_old
from pilotlight.domain.retention import DEFAULT_RETENTION
from pilotlight.domain.source import SourceFile
from pilotlight.domain.upload import Upload, UploadStatus, version_of
from pilotlight.domain.values import Model, Moment, iso

ARTIFACT_ID = re.compile(r"a[0-9a-f]{19}")
BODIES_KEPT = timedelta(days=9)
"""For longer than the records of invocations and the bucket's lifecycle rule (a week, and S3 takes its time)."""
LONGEST_LAMBDA = timedelta(minutes=15)  # Source: AWS Lambda quotas, "Function timeout"
_USER = re.compile(r"(?P<name>.+)-g(?P<generation>\d+)")


class FoundModel(Model):
    """An imported model as it was listed, with its tags."""

    arn: str
    name: str
    created_at: Moment | None = None
    units: int | None = None
    tags: dict[str, str] = {}

    def owner(self, stack: str) -> tuple[str, int] | None:
        """Return the deployment and generation that its tags name, or None where it is not this stack's."""
        name, generation = self.tags.get(names.TAG_DEPLOYMENT), self.tags.get(names.TAG_GENERATION, "")
        if self.tags.get(names.TAG_STACK) != stack or not name or not (generation.isascii() and generation.isdigit()):
            return None
        return name, int(generation)


class FoundExecution(Model):
    """A running execution of one of our machines."""

    machine: str
    name: str
    started_at: Moment | None = None


class FoundFolder(Model):
    """An uploaded folder with the files that lay in it when it was listed."""

    folder: str
    files: tuple[SourceFile, ...]
    listed_at: Moment | None = None


def ended(record: Deployment, generation: int) -> bool:
    """Say whether that generation is over: GONE, or followed by a later one."""
    return record.generation > generation or (record.generation == generation and not record.is_live)


def judge_generation(
    name: str, generation: int, record: Deployment | None, since: datetime | None, scene: Scene
) -> Verdict | None:
    """Judge what belongs to one generation of a deployment by the record of that; None where it is live."""
    if record is None:
        return told_when_old(f"there is no deployment {name}", since, scene)
    if record.generation < generation:
        reason = f"it is of generation {generation}, and the record of {name} is only at {record.generation}"
        return Verdict(decision=Decision.LOOK, reason=f"{reason}: was the table restored?")
    if ended(record, generation):
        told = f"generation {generation} of {name} is over: its record is {record.status} at {record.generation}"
        return removed_when_old(told, since, scene)
    return None


def judge_model(found: FoundModel, record: Deployment | None, scene: Scene) -> Verdict | None:
    """Judge an imported model of this stack by the record of the deployment that its tags name."""
    owner = found.owner(scene.rules.stack)
    if owner is None:
        return None
    name, generation = owner
    verdict = judge_generation(name, generation, record, found.created_at, scene)
    if verdict or record is None:
        return verdict
    if found.name != names.imported_model_name(name, generation):
        return Verdict(decision=Decision.LOOK, reason=f"it has the tags of live {name}, and another name")
    return _judge_live_model(found, record)


def _judge_live_model(found: FoundModel, record: Deployment) -> Verdict | None:
    imported = record.imported
    if imported is None or record.status is not Status.FAILED or imported.model_arn == found.arn:
        return None  # whoever is at work on it notes it
    if found.tags.get(names.TAG_ARTIFACT) != record.artifact_id:
        reason = f"it has the name of failed {record.name}, and is of other weights"
        return Verdict(decision=Decision.LOOK, reason=reason)
    reason = f"its import ended after {record.name} had failed: kept for a retry, under the lease"
    return Verdict(decision=Decision.ADOPT, reason=reason)


def judge_execution(found: FoundExecution, record: Deployment | Artifact | None, scene: Scene) -> Verdict | None:
    """Judge a running execution by the record that it works on, which its name tells."""
    run = names.parse_run(found.name)
    if run is None:
        return None
    reason: str | None
    match record:
        case None:
            return told_when_old(f"there is no record of {run.owner}", found.started_at, scene)
        case Artifact() if run.number > record.attempt:
            reason = f"it is of attempt {run.number}, and the record of {record.id} is only at {record.attempt}"
            return told_when_old(reason, found.started_at, scene)
        case Artifact():
            expected = names.staging_name(record.id, record.attempt, record.created_at)
            at_work = record.is_worked_on and found.name == expected
            reason = None if at_work else f"artifact {record.id} is {record.status} at attempt {record.attempt}"
        case Deployment():
            reason = _superseded(found, run, record)
    return removed_when_old(reason, found.started_at, scene) if reason else None


def _superseded(found: FoundExecution, run: names.Run, record: Deployment) -> str | None:
    """Return why an execution works for nobody any more, or None."""
    if ended(record, run.generation):
        return f"generation {run.generation} of {record.name} is over: its record is {record.status}"
    if found.machine == "deploy" and record.generation == run.generation and run.number < record.attempt:
        return f"attempt {run.number} of {record.name} was followed by attempt {record.attempt}"
    updates = record.endpoint.updates if record.endpoint else 0
    if found.machine == "update" and record.generation == run.generation and run.number < updates:
        return f"update {run.number} of {record.name} was followed by update {updates}"
    return None


def user_of(text: str) -> tuple[str, int] | None:
    """Return the deployment and generation that a user of an artifact names."""
    match = _USER.fullmatch(text)
    return (match["name"], int(match["generation"])) if match else None


def ended_users(artifact: Artifact, records: Mapping[str, Deployment | None]) -> tuple[str, ...]:
    """Return the users whose generation is over; one without a record is not known to be."""
    over = []
    for user in artifact.users:
        parsed, record = user_of(user), records.get(user)
        if parsed and record and ended(record, parsed[1]):
            over.append(user)
    return tuple(over)


def judge_artifact(
    artifact: Artifact | None,
    records: Mapping[str, Deployment | None],
    scene: Scene,
    *,
    newest_write: datetime | None,
    is_staging: bool,
    is_sealed: bool = False,
) -> Verdict | None:
    """Judge an artifact by its record and those of its users.

    `newest_write` is when the newest of its bytes was written, where its record does not tell what is to become of
    them, None where it has none; `is_staging` says that its
    execution is under way, `is_sealed` that it was sealed, and has weights.
    """
    if artifact is None:
        return told_when_old("its bytes have no record", newest_write, scene) if newest_write else None
    if artifact.status is ArtifactStatus.GONE:
        return _judge_late_bytes(artifact, newest_write, scene, is_sealed=is_sealed)
    if artifact.status is ArtifactStatus.DELETING:
        return _judge_half_deleted(artifact, scene)
    if over := ended_users(artifact, records):
        return Verdict(decision=Decision.RELEASE, reason=f"its user {', '.join(over)} is over")
    if not artifact.users:
        return _judge_unused(artifact, scene)
    return _judge_staging(artifact, records, scene, is_staging=is_staging)


def _judge_half_deleted(artifact: Artifact, scene: Scene) -> Verdict:
    """Judge one that is being deleted: no Lambda that began to is at it for longer than any may run."""
    age = min(scene.rules.smallest_age, LONGEST_LAMBDA)
    soon = scene.changed(rules=scene.rules.changed(smallest_age=age))
    return removed_when_old("whoever was deleting it has not ended", artifact.updated_at, soon)


def _judge_unused(artifact: Artifact, scene: Scene) -> Verdict | None:
    """Judge one that nobody uses, whatever its status: it stays for as long as its users wished, and is no orphan."""
    kept_until = artifact.kept_until
    if kept_until is None or scene.now < kept_until:
        return None
    told = f"nobody uses it, and it was to be kept until {iso(kept_until)} ({artifact.retention or DEFAULT_RETENTION})"
    return Verdict(decision=Decision.COLLECT, reason=told)


def _judge_late_bytes(
    artifact: Artifact, newest_write: datetime | None, scene: Scene, *, is_sealed: bool
) -> Verdict | None:
    """Judge the bytes of one that is GONE: a zombie leaves a few, and only a whole staging a manifest."""
    if newest_write is None:
        return None
    since = max(newest_write, artifact.updated_at)
    if is_sealed:
        return told_when_old("it was sealed after its record says that it was deleted", since, scene)
    return removed_when_old("bytes were written after it was deleted", since, scene)


def _judge_staging(
    artifact: Artifact, records: Mapping[str, Deployment | None], scene: Scene, *, is_staging: bool
) -> Verdict | None:
    """Judge one that is in use: staging that died, where nobody waits for it who would revive it, has failed."""
    waited_for = any(record is None or record.status in UNDER_WAY for record in records.values())
    young = scene.now < artifact.updated_at + scene.rules.smallest_age
    if artifact.status is not ArtifactStatus.STAGING or is_staging or waited_for or young:
        return None
    return Verdict(decision=Decision.FAIL, reason="its staging died, and nobody waits for it: a retry begins afresh")


def judge_strange_folder(newest_write: datetime | None, scene: Scene) -> Verdict | None:
    """Judge a folder beside the artifacts whose name is no artifact's: whoever put it there removes it, or nobody."""
    if newest_write is None:
        return None
    return told_when_old("its name is no artifact's, and no record tells of it", newest_write, scene)


def judge_multipart(artifact: Artifact | None, begun_at: datetime, scene: Scene) -> Verdict | None:
    """Judge an unfinished upload of an artifact: a sealed one needs none; any other still may, or goes as a whole."""
    if artifact is None or artifact.status is not ArtifactStatus.SEALED:
        return None
    since = max(begun_at, artifact.updated_at)
    return removed_when_old("an upload was begun twice, and its artifact is sealed", since, scene)


def judge_invocation(invocation: Invocation | None, newest_write: datetime | None, scene: Scene) -> Verdict | None:
    """Judge an invocation by its record: one that nobody answers has failed.

    Bodies outlive their record by hours as a rule, and the bucket's lifecycle rule removes them. Those that it has
    not removed for days are no loss to anyone: that record is gone for good, whichever table it was in.
    """
    if invocation is None:
        if newest_write is None or scene.now < newest_write + BODIES_KEPT:
            return None
        return removed_when_old("its bodies have outlived their record", newest_write, scene)
    if not invocation.is_lost(scene.now - scene.rules.smallest_age):
        return None
    return Verdict(decision=Decision.FAIL, reason="nobody answered it before it expired")


def judge_deployment(record: Deployment, scene: Scene, *, model_is_there: bool) -> Verdict | None:
    """Judge a record: one that nobody will look at in time is made due; one whose model has vanished is told."""
    if not record.is_live:
        return None
    wanted = record.next_look(scene.now)
    overdue = record.next_look_at and record.next_look_at < scene.now - scene.rules.smallest_age
    if wanted and record.next_look_at is None:
        return Verdict(decision=Decision.RESUME, reason=f"{record.status}, and no look is planned")
    if overdue:
        return Verdict(decision=Decision.RESUME, reason=f"{record.status}, and its look is overdue")
    if record.status is Status.SERVING and not model_is_there:
        return Verdict(decision=Decision.LOOK, reason="its imported model is no longer there: delete it, deploy again")
    return None


def judge_folder(found: FoundFolder, upload: Upload | None, scene: Scene) -> Verdict | None:
    """Judge an uploaded folder: whatever the record has not seen is looked at, as if its event had come."""
    if upload is None:
        return Verdict(decision=Decision.RESUME, reason="nobody has looked at it: its event was lost")
    if found.listed_at and upload.updated_at > found.listed_at:
        return None  # whoever wrote the record has seen more than this list
    if upload.look_at:
        overdue = upload.look_at < scene.now - scene.rules.smallest_age
        return Verdict(decision=Decision.RESUME, reason="its look is overdue") if overdue else None
    if upload.status is UploadStatus.RESTING or upload.seen != version_of(found.files):
        return Verdict(decision=Decision.RESUME, reason="it has changed since it was looked at: an event was lost")
    if upload.status is UploadStatus.STARTED and upload.came_again(found.files):
        return Verdict(decision=Decision.RESUME, reason="it was written again since it was started")
    return None
