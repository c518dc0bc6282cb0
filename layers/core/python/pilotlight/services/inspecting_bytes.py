"""What lies in the artifact bucket: artifacts, uploads begun twice, and the bodies of invocations."""

import re
from datetime import datetime

from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, ArtifactStatus, manifest_key, weights_prefix
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import Superseded
from pilotlight.domain.orphans import (
    ARTIFACT_ID,
    ended_users,
    judge_artifact,
    judge_invocation,
    judge_multipart,
    judge_strange_folder,
    user_of,
)
from pilotlight.domain.reconciliation import Decision, Finding, Kind, Listing, Scene, finding_of
from pilotlight.ports import (
    Artifacts,
    Clock,
    Deployments,
    Executions,
    Inventory,
    Invocations,
    UnfinishedUpload,
)
from pilotlight.services.erasing import Erasing
from pilotlight.services.queue_work import QueueWork
from pilotlight.services.records import amend_artifact

PAGE = 200
_UPLOAD_OF = re.compile(rf"artifacts/(?P<id>{ARTIFACT_ID.pattern})/weights/.+")
_INVOCATION_ID = re.compile(r"[0-9A-Za-z-]{8,64}")


class InspectingArtifacts:
    """Artifacts: their bytes, their records, and the users that are over."""

    kind = Kind.ARTIFACT

    def __init__(
        self,
        inventory: Inventory,
        artifacts: Artifacts,
        deployments: Deployments,
        executions: Executions,
        erasing: Erasing,
        clock: Clock,
    ) -> None:
        self._inventory = inventory
        self._artifacts = artifacts
        self._deployments = deployments
        self._executions = executions
        self._erasing = erasing
        self._clock = clock

    def list(self, cursor: str | None) -> Listing[str]:
        """Return the ids of all artifacts with bytes, or with a record that is not GONE; bytes are listed first.

        A folder whose name is no id is among them: it costs money too, and a person is to be told.
        """
        found = {*self._inventory.artifact_ids()}
        begun = (upload.key.split("/") for upload in self._inventory.unfinished_uploads())
        found |= {path[1] for path in begun if len(path) > 2}  # artifacts/<folder>/<key>
        while True:
            records, cursor = self._artifacts.page(cursor, PAGE)
            found |= {record.id for record in records if record.status is not ArtifactStatus.GONE}
            if cursor is None:
                return Listing(items=tuple(sorted(found)))

    def name_of(self, item: str) -> str:
        """Return the folder of an artifact."""
        return f"artifacts/{item}/"

    def inspect(self, item: str, scene: Scene) -> Finding | None:
        """Judge an artifact by its record and those of its users; a folder that is none, by its age alone."""
        if not ARTIFACT_ID.fullmatch(item):
            newest_write = self._inventory.newest_write(self.name_of(item))
            verdict = judge_strange_folder(newest_write, scene)
            return finding_of(verdict, self.kind, self.name_of(item), since=newest_write)
        artifact = self._artifacts.find(item)
        newest_write = self._newest_write(artifact, item)
        verdict = judge_artifact(
            artifact,
            self._users(artifact),
            scene,
            newest_write=newest_write,
            is_staging=artifact is not None and self._is_staging(artifact),
            is_sealed=newest_write is not None and self._is_sealed(item),
        )
        since = artifact.updated_at if artifact else newest_write
        return finding_of(verdict, self.kind, self.name_of(item), since=since)

    def act(self, item: str, finding: Finding, scene: Scene) -> None:
        """Delete the bytes, under a record that lets nobody take them into use; or give back; or fail."""
        match finding.decision:
            case Decision.REMOVE | Decision.COLLECT:
                self._remove(item, finding.decision, scene)
            case Decision.RELEASE:
                self._release(item)
            case _:
                self._fail(item, finding.reason)

    def _newest_write(self, artifact: Artifact | None, artifact_id: str) -> datetime | None:
        """Return when the newest bytes were written, of those whose removal depends on it: lists cost money."""
        told_by_record = artifact and artifact.status is not ArtifactStatus.GONE
        return None if told_by_record else self._inventory.newest_write(f"artifacts/{artifact_id}/")

    def _is_sealed(self, artifact_id: str) -> bool:
        """Say whether a manifest lies there, and weights that it could be of: alone it is what a late writer left."""
        parts = (manifest_key(artifact_id), weights_prefix(artifact_id))
        return all(self._inventory.newest_write(each) is not None for each in parts)

    def _users(self, artifact: Artifact | None) -> dict[str, Deployment | None]:
        parsed = {user: user_of(user) for user in (artifact.users if artifact else ())}
        return {user: self._deployments.find(named[0]) if named else None for user, named in parsed.items()}

    def _is_staging(self, artifact: Artifact) -> bool:
        run = names.staging_name(artifact.id, artifact.attempt, artifact.created_at)
        staging = artifact.status is ArtifactStatus.STAGING
        return staging and self._executions.is_running("stage_artifact", run)

    def _remove(self, artifact_id: str, decided: Decision, scene: Scene) -> None:
        newest_write = self._newest_write(self._artifacts.find(artifact_id), artifact_id)
        is_sealed = newest_write is not None and self._is_sealed(artifact_id)
        now = self._clock.now()

        def condemned(before: Artifact | None) -> Artifact:
            verdict = judge_artifact(
                before, {}, scene, newest_write=newest_write, is_staging=False, is_sealed=is_sealed
            )
            if before is None or verdict is None or verdict.decision is not decided:
                raise Superseded(f"Artifact {artifact_id} is wanted again.", artifact_id=artifact_id)
            return before.changed(status=ArtifactStatus.DELETING, updated_at=now)

        if artifact := amend_artifact(self._artifacts, artifact_id, condemned):
            self._erasing.erase(artifact)

    def _release(self, artifact_id: str) -> None:
        now = self._clock.now()

        def released(before: Artifact | None) -> Artifact | None:
            if before is None:
                return None
            after = before
            for user in ended_users(before, self._users(before)):
                after = after.given_back_by(user, now)
            return after.changed(updated_at=now)

        amend_artifact(self._artifacts, artifact_id, released)

    def _fail(self, artifact_id: str, reason: str) -> None:
        now = self._clock.now()

        def failed(before: Artifact | None) -> Artifact | None:
            if before is None or before.status is not ArtifactStatus.STAGING or self._is_staging(before):
                return None
            told = {"failure_code": "staging-died", "failure_reason": reason}
            return before.changed(status=ArtifactStatus.FAILED, updated_at=now, **told)

        amend_artifact(self._artifacts, artifact_id, failed)


class InspectingUploadsInParts:
    """Unfinished uploads of artifacts that are sealed: begun twice, because an answer was lost."""

    kind = Kind.MULTIPART

    def __init__(self, inventory: Inventory, artifacts: Artifacts) -> None:
        self._inventory = inventory
        self._artifacts = artifacts

    def list(self, _cursor: str | None) -> Listing[UnfinishedUpload]:
        """Return the unfinished uploads of weights."""
        return Listing(items=tuple(each for each in self._inventory.unfinished_uploads() if _artifact_of(each.key)))

    def name_of(self, item: UnfinishedUpload) -> str:
        """Return the key of an upload and its id."""
        return f"{item.key}?uploadId={item.upload_id}"

    def inspect(self, item: UnfinishedUpload, scene: Scene) -> Finding | None:
        """Judge an upload by the record of its artifact."""
        verdict = judge_multipart(self._artifacts.find(_artifact_of(item.key)), item.begun_at, scene)
        return finding_of(verdict, self.kind, self.name_of(item), since=item.begun_at)

    def act(self, item: UnfinishedUpload, _finding: Finding, _scene: Scene) -> None:
        """Abort one upload: its parts are billed like objects."""
        self._inventory.abort(item)


class InspectingInvocations:
    """Invocations that waited, found by their bodies: bodies without a record, and calls that nobody answered."""

    kind = Kind.INVOCATION

    def __init__(self, inventory: Inventory, invocations: Invocations, queue_work: QueueWork) -> None:
        self._inventory = inventory
        self._invocations = invocations
        self._queue_work = queue_work

    def list(self, cursor: str | None) -> Listing[str]:
        """Return the next ids of invocations whose bodies are kept."""
        found, following = self._inventory.invocation_ids(cursor)
        return Listing(items=tuple(each for each in found if _INVOCATION_ID.fullmatch(each)), following=following)

    def name_of(self, item: str) -> str:
        """Return the id of an invocation."""
        return item

    def inspect(self, item: str, scene: Scene) -> Finding | None:
        """Judge an invocation by its record."""
        invocation = self._invocations.find(item)
        newest_write = None if invocation else self._inventory.newest_write(f"invocations/{item}/")
        if invocation is None and newest_write is None:
            return None
        verdict = judge_invocation(invocation, newest_write, scene)
        since = invocation.expires_at if invocation else newest_write
        owner = invocation.deployment if invocation else None
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=owner, since=since)

    def act(self, item: str, finding: Finding, _scene: Scene) -> None:
        """Delete the bodies, or tell whoever asks that nobody answered."""
        if finding.decision is Decision.REMOVE:
            self._inventory.forget_invocation(item)
        else:
            self._queue_work.fail(item, f"{finding.reason[0].upper()}{finding.reason[1:]}.")


def _artifact_of(key: str) -> str:
    """Return the artifact that a key of weights belongs to; nothing for any other key."""
    match = _UPLOAD_OF.fullmatch(key)
    return match["id"] if match else ""
