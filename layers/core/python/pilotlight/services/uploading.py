"""Folders uploaded to S3 that start their own import: looked at when they rest, started once per version.

A version that was started, and whose deployment is GONE, starts again when any of its files (the uploader's mark
will do) has been written since: that is somebody who uploads it again. A late or repeated event is not, because it
writes nothing.
"""

from datetime import datetime, timedelta

from pydantic import ValidationError

from pilotlight.contracts import DeploymentRequest, UploadSettings
from pilotlight.domain.broken_rules import broken_rules
from pilotlight.domain.checkpoint_config import WeightIndex, parse
from pilotlight.domain.checkpoint_files import INDEX, READ_LIMITS
from pilotlight.domain.completeness import missing_files
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import (
    ConcurrentChange,
    InvalidInput,
    KillSwitchOn,
    NameTaken,
    NotFound,
    PreflightRefused,
    SourceChanged,
    SourceNotFound,
    SourceRefused,
    SpendCeilingReached,
)
from pilotlight.domain.source import Listing, Source, SourceKind
from pilotlight.domain.spending import Per
from pilotlight.domain.strict_json import UnreadableError
from pilotlight.domain.upload import (
    COMPLETE_MARK,
    ROOT,
    SETTINGS_FILE,
    Upload,
    UploadStatus,
    folder_of,
    folder_problem,
    is_marked,
    newest_of,
    version_of,
)
from pilotlight.domain.values import backoff
from pilotlight.ports import Clock, Deployments, ModelSource, UploadBucket, Uploads
from pilotlight.services.preflight import Preflight
from pilotlight.services.requesting import Requesting

SETTINGS_LIMIT_BYTES = 64 * 1024
# A quota tells nobody that there is room, an upload in parts not that it was aborted, and word that a name is free may
# be lost.
HELD_LOOK = timedelta(minutes=15)
SWITCH_LOOK = timedelta(minutes=1)
LONGEST_REST = timedelta(hours=1)  # of a folder whose looks keep failing
ABANDONED = timedelta(days=1)  # an upload in parts that is older keeps no folder from resting


class Uploading:
    """Turns a complete, resting folder into one deployment."""

    def __init__(
        self,
        uploads: Uploads,
        deployments: Deployments,
        source: ModelSource,
        requesting: Requesting,
        preflight: Preflight,
        clock: Clock,
        bucket: UploadBucket,
        *,
        settle_seconds: int,
    ) -> None:
        self._uploads = uploads
        self._deployments = deployments
        self._source = source
        self._requesting = requesting
        self._preflight = preflight
        self._clock = clock
        self._bucket = bucket
        self._settle = timedelta(seconds=settle_seconds)

    def note_event(self, key: str, *, correlation_id: str) -> None:
        """Set when to look at the folder of a new object; a folder marked complete is looked at now.

        An event starts nothing: events come late, twice, or in any order, and each sets the same thing.
        """
        folder = folder_of(key)
        if folder is None:
            return
        now = self._clock.now()
        self._uploads.note_event(folder, now + self._settle, now)
        if key.removeprefix(f"{ROOT}{folder}/") == COMPLETE_MARK:
            self.look(folder, correlation_id=correlation_id)

    def look(self, folder: str, *, correlation_id: str) -> Upload:
        """Look at a folder: start it, or say what it waits for. Many looks at one version start it once."""
        upload = self._uploads.find(folder) or Upload(folder=folder, updated_at=self._clock.now())
        try:
            return self._uploads.save(upload, self._decide(upload.changed(failed_looks=0), correlation_id))
        except ConcurrentChange:
            return self._uploads.find(folder) or upload  # another look was quicker, and decides the same

    def put_off(self, folder: str, reason: str) -> None:
        """Look at a folder again later, and later each time; at one that cannot be read, after the longest rest."""
        now = self._clock.now()
        try:
            upload = self._uploads.find(folder)
        except NotFound:
            upload = None
        if upload is None:
            self._uploads.note_event(folder, now + LONGEST_REST, now)
            return
        failed = upload.failed_looks + 1
        look_at = now + backoff(failed, self._settle, LONGEST_REST)
        told = f"a look did not succeed: {reason}"
        self._uploads.save(upload, upload.changed(failed_looks=failed, look_at=look_at, reason=told, updated_at=now))

    def _decide(self, upload: Upload, correlation_id: str) -> Upload:
        now = self._clock.now()
        try:
            listing = self._source.resolve(
                Source(kind=SourceKind.BUCKET, location=f"{self._bucket.bucket}/{ROOT}{upload.folder}/")
            )
        except SourceNotFound:
            return self._settled(upload, UploadStatus.RESTING, reason="the folder is empty", seen=None, seen_at=None)
        version = version_of(listing.files)
        seen = upload.looked_at(listing.files, now)
        if version == upload.started and self._holder(upload.folder):
            return self._started(seen, listing, upload.reason)
        if version == upload.started and not upload.came_again(listing.files):
            reason = "started, and gone since; upload it again to redo"
            return self._settled(seen, UploadStatus.STARTED, reason=reason)
        if waiting := self._restless(seen, listing):
            return waiting
        try:
            return self._judged(seen, listing, correlation_id)
        except (SourceChanged, SourceNotFound):
            return self._resting(seen)
        except (SourceRefused, PreflightRefused, InvalidInput) as exc:
            return self._settled(seen, UploadStatus.REFUSED, reason=exc.message)
        except ValidationError as exc:
            return self._settled(seen, UploadStatus.REFUSED, reason=_readable(exc))

    def _judged(self, upload: Upload, listing: Listing, correlation_id: str) -> Upload:
        """Return the record of a resting folder: incomplete, refused, held, or started.

        Raises: ValidationError for settings that break a rule; SourceRefused for files that cannot be read.
        """
        if problem := folder_problem(upload.folder):
            return self._settled(upload, UploadStatus.REFUSED, reason=problem)
        if missing := self._missing(listing):
            return self._settled(upload, UploadStatus.INCOMPLETE, reason="files are missing", missing=missing)
        if self._holder(upload.folder) is None and (refused := self._refused(upload, listing)):
            return refused
        return self._start(upload, listing, correlation_id)

    def _restless(self, seen: Upload, listing: Listing) -> Upload | None:
        """Return the record of a folder that does not rest yet: it changed, or an upload in parts may still change it.

        Such an upload is no file that a listing shows. One that marked its folder complete has none any more.
        """
        now = self._clock.now()
        if not seen.rests(listing.files, self._settle, now):
            return self._resting(seen)
        if is_marked(listing.files):
            return None
        under_way = sum(now - begun < ABANDONED for begun in self._bucket.begun(f"{ROOT}{seen.folder}/"))
        if not under_way:
            return None
        reason = f"waits for what is still being uploaded in parts ({under_way}), for a day at most"
        return seen.changed(status=UploadStatus.RESTING, look_at=now + HELD_LOOK, reason=reason)

    def _resting(self, upload: Upload) -> Upload:
        now = self._clock.now()
        rests_at = (upload.seen_at or now) + self._settle
        look_at = rests_at if rests_at > now else now + self._settle
        return upload.changed(status=UploadStatus.RESTING, look_at=look_at, reason="waits until it rests")

    def _started(self, upload: Upload, listing: Listing, reason: str | None) -> Upload:
        started = upload.changed(started=version_of(listing.files), newest_at=newest_of(listing.files))
        return self._settled(started, UploadStatus.STARTED, reason=reason, deployment=upload.folder)

    def _refused(self, upload: Upload, listing: Listing) -> Upload | None:
        """Return the record of a folder that the backend would not take; None where it would."""
        settings = self._settings(listing)
        refusals = self._preflight.inspect(listing.source, settings.backend, settings.hosting).verdict.refusals
        if not refusals:
            return None
        reason = " ".join(str(check) for check in refusals)
        if all(check.name == "quota" for check in refusals):
            return self._held(upload, reason)
        return self._settled(upload, UploadStatus.REFUSED, reason=reason)

    def _start(self, upload: Upload, listing: Listing, correlation_id: str) -> Upload:
        key = f"upload:{upload.folder}:{version_of(listing.files)}:"
        settings = self._settings(listing)
        wanted = DeploymentRequest(
            name=upload.folder, source=str(listing.source.changed(revision=None)), **dict(settings)
        )
        try:
            once = f"{key}{self._generations(upload.folder)}"
            deployment = self._requesting.request(wanted, correlation_id=correlation_id, idempotency_key=once)
        except KillSwitchOn as held:
            return self._held(upload, held.message, look_at=self._clock.now() + SWITCH_LOOK)
        except SpendCeilingReached as held:
            if wanted.spend_ceiling and wanted.spend_ceiling.per is Per.DEPLOYMENT:  # no month to come pays for it
                return self._settled(upload, UploadStatus.REFUSED, reason=held.message)
            return self._held(upload, held.message)
        except NameTaken as held:
            holder = self._holder(upload.folder)
            if holder and (holder.request_key or "").startswith(key):  # a look that ended before it was noted
                return self._started(upload, listing, f"started as generation {holder.generation}")
            status = holder.status if holder else "live"
            reason = f"deployment {upload.folder} is {status}; this version starts after it is GONE ({held.message})"
            return self._held(upload, reason, held_by=upload.folder)
        return self._started(upload, listing, f"started as generation {deployment.generation}")

    def _held(self, upload: Upload, reason: str, held_by: str | None = None, look_at: datetime | None = None) -> Upload:
        look_at = look_at or self._clock.now() + HELD_LOOK
        return self._settled(upload, UploadStatus.HELD, reason=reason, held_by=held_by, look_at=look_at)

    def _settled(self, upload: Upload, status: UploadStatus, **fields: object) -> Upload:
        cleared = {"missing": (), "held_by": None, "reason": None, "deployment": None}
        return upload.changed(
            **{**cleared, "status": status, "look_at": None, "updated_at": self._clock.now(), **fields}
        )

    def _holder(self, name: str) -> Deployment | None:
        deployment = self._deployments.find(name)
        return deployment if deployment and deployment.is_live else None

    def _generations(self, name: str) -> int:
        deployment = self._deployments.find(name)
        return deployment.generation if deployment else 0

    def _missing(self, listing: Listing) -> tuple[str, ...]:
        index = None
        if listing.file(INDEX):
            try:
                content = self._source.read(listing.source, INDEX, limit_bytes=READ_LIMITS[INDEX])
                index = parse(content, WeightIndex)
            except UnreadableError as exc:
                return (f"{INDEX} that can be read: {exc}",)
        return missing_files(listing, index)

    def _settings(self, listing: Listing) -> UploadSettings:
        if listing.file(SETTINGS_FILE) is None:
            return UploadSettings()
        text = self._source.read(listing.source, SETTINGS_FILE, limit_bytes=SETTINGS_LIMIT_BYTES)
        return UploadSettings.model_validate_json(text)


def _readable(exc: ValidationError) -> str:
    told = "; ".join(map(str, broken_rules(exc, whole="the file")))
    return f"{SETTINGS_FILE} is not understood: {told}"
