"""Hubs and buckets in memory: revisions that change, multipart uploads, bodies that expire."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pilotlight.adapters.crc64nvme import crc64nvme, encoded
from pilotlight.domain.archive import Entry, packed, packed_bytes
from pilotlight.domain.cutting import Cutting
from pilotlight.domain.errors import NotFound, PilotlightError, SourceChanged, SourceNotFound, SourceRefused, Terminal
from pilotlight.domain.invocation import InvocationRequest
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.domain.orphans import FoundFolder
from pilotlight.domain.source import Listing, Source, SourceFile, SourceKind, StoredObject
from pilotlight.domain.spans import SMALLEST_PART_BYTES, Part, UploadedPart
from pilotlight.domain.upload import version_of
from pilotlight.ports import StoredBody, UnfinishedUpload, UploadAddress

from tests.factories import NOON
from tests.fakes.machinery import ManualClock


class FakeSource:
    """Implements `ports.ModelSource`: a hub keeps every commit, a bucket has only what lies there now."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self._listed: dict[str, tuple[SourceFile, ...]] = {}
        self._heads: dict[str, str] = {}
        self._objects: dict[str, dict[str, tuple[bytes, datetime]]] = {}
        self.ranges: list[tuple[str, int, int]] = []
        self.cuts: list[int] = []
        """After how many bytes the next streams end, each once."""
        self.trouble: dict[str, PilotlightError] = {}
        """What reading a location raises."""

    def push(self, location: str, files: Mapping[str, bytes]) -> str:
        """Make a commit of a repository's main branch; return it."""
        listed = tuple(_files(files))
        commit = hashlib.sha1(repr(listed).encode(), usedforsecurity=False).hexdigest()
        self._commits.setdefault(location, {})[commit] = dict(files)
        self._listed[commit] = listed
        self._heads[location] = commit
        return commit

    def rewrite(self, location: str, commit: str, files: Mapping[str, bytes]) -> None:
        """Change a commit, as no honest hub does: its files are other ones from now on."""
        held = self._commits[location][commit]
        held |= files
        self._listed[commit] = tuple(_files(held))

    def upload(self, location: str, files: Mapping[str, bytes]) -> None:
        """Put objects into a folder `bucket/prefix/`, over those of the same name."""
        folder = self._objects.setdefault(location, {})
        folder.update({path: (content, self._clock.now()) for path, content in files.items()})

    def folders(self, root: str) -> dict[str, list[SourceFile]]:
        """Return the files of every folder below a root."""
        below = {each: each.removeprefix(root).strip("/") for each in self._objects if each.startswith(root)}
        return {
            name: self._bucket_files(Source(kind=SourceKind.BUCKET, location=each))
            for each, name in below.items()
            if self._objects[each]
        }

    def object_at(self, place: str) -> bytes | None:
        """Return the object at `bucket/key`, or None."""
        folders = [each for each in self._objects if place.startswith(each)]
        found = [self._objects[each].get(place.removeprefix(each)) for each in folders]
        return next((each[0] for each in found if each), None)

    def remove(self, location: str, *paths: str) -> None:
        for path in paths or tuple(self._objects[location]):
            del self._objects[location][path]

    def resolve(self, source: Source) -> Listing:
        if source.location in self.trouble:
            raise self.trouble[source.location]
        if source.kind is SourceKind.HUB:
            commit = self._commit(source)
            return Listing(source=source.at(commit), files=self._listed[commit])
        files = self._bucket_files(source)
        revision = version_of(files)
        if source.revision and source.revision != revision:
            raise SourceChanged(f"{source.location} is at {revision} now, {source.revision} was asked for.")
        return Listing(source=source.at(revision), files=tuple(files))

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        content = self._content(source, path)
        if len(content) > limit_bytes:
            raise SourceRefused(f"{path} is larger than {limit_bytes} bytes.")
        return content

    def stream(
        self,
        source: Source,
        file: SourceFile,
        *,
        offset: int,
        size_bytes: int,
        cutting: Cutting | None = None,  # noqa: ARG002 (nothing to cut)
    ) -> Iterator[bytes]:
        self.ranges.append((file.path, offset, size_bytes))
        content = self._content(source, file.path)
        if file.etag and file.etag != _etag(content):
            raise SourceChanged(f"{file.path} has been replaced since it was listed.")
        wanted = content[offset : offset + size_bytes]
        yield wanted[: self.cuts.pop(0)] if self.cuts else wanted

    def _commit(self, source: Source) -> str:
        commits = self._commits.get(source.location, {})
        wanted = source.revision or "main"
        commit = self._heads.get(source.location, "") if wanted == "main" else wanted
        if commit not in commits:
            raise SourceNotFound(f"There is no {source}.")
        return commit

    def _content(self, source: Source, path: str) -> bytes:
        if source.kind is SourceKind.HUB:
            return self._commits[source.location][self._commit(source)][path]
        try:
            return self._objects[source.location][path][0]
        except KeyError as exc:
            raise SourceNotFound(f"{source} has no file {path}.") from exc

    def _bucket_files(self, source: Source) -> list[SourceFile]:
        folder = self._objects.get(source.location)
        if not folder:
            raise SourceNotFound(f"There is nothing below s3://{source.location}.")
        return [
            SourceFile(path=path, size_bytes=len(content), etag=_etag(content), modified_at=modified_at)
            for path, (content, modified_at) in sorted(folder.items())
        ]


@dataclass
class _Upload:
    key: str
    begun_at: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class FakeBucket:
    """Implements `ports.ArtifactBucket`."""

    clock: ManualClock = field(default_factory=ManualClock)
    objects: dict[str, bytes] = field(default_factory=dict)
    written: dict[str, datetime] = field(default_factory=dict)
    uploads: dict[str, _Upload] = field(default_factory=dict)
    keeps: set[str] = field(default_factory=set)
    """Keys that cannot be deleted."""
    name: str = ""
    elsewhere: Callable[[str], bytes | None] = lambda _: None
    """What lies in other buckets, by `bucket/key`."""
    copied: list[tuple[str, int]] = field(default_factory=list)
    """What S3 copied itself: from which `bucket/key`, and how many bytes."""

    def start_upload(self, key: str) -> str:
        if under_way := next((each for each, upload in self.uploads.items() if upload.key == key), None):
            return under_way
        return self.begin_upload(key)

    def begin_upload(self, key: str) -> str:
        """Begin one more upload of a key, as a repeated call does whose first answer was lost."""
        upload_id = f"upload-{len(self.uploads) + 1}-{key}"
        self.uploads[upload_id] = _Upload(key, self.clock.now())
        return upload_id

    def parts(self, key: str, upload_id: str) -> dict[int, UploadedPart]:
        held = self._upload(key, upload_id).parts
        return {number: _part(number, body) for number, body in held.items()}

    def upload_part(self, key: str, upload_id: str, number: int, size_bytes: int, pieces: Iterable[bytes]) -> None:
        self._upload(key, upload_id)
        body = b"".join(pieces)
        assert len(body) == size_bytes, "IncompleteBody"
        self._upload(key, upload_id).parts[number] = body

    def copy_part(self, key: str, upload_id: str, part: Part, stored: StoredObject) -> None:
        upload, body = self._upload(key, upload_id), self._held(stored)
        upload.parts[part.number] = body[part.offset : part.offset + part.size_bytes]
        self.copied.append((f"{stored.bucket}/{stored.key}", part.size_bytes))

    def copy(self, key: str, stored: StoredObject) -> None:
        self.put(key, self._held(stored))
        self.copied.append((f"{stored.bucket}/{stored.key}", stored.size_bytes))

    def stored(self, key: str) -> StoredObject | None:
        if (body := self.objects.get(key)) is None:
            return None
        checksum = encoded(crc64nvme(body))
        return StoredObject(
            bucket=self.name, key=key, size_bytes=len(body), etag=_etag(body), checksum_crc64nvme=checksum
        )

    def checksum_of(self, key: str, parts: Sequence[UploadedPart]) -> str:
        held = next(upload.parts for upload in self.uploads.values() if upload.key == key)
        return encoded(crc64nvme(b"".join(held[part.number] for part in sorted(parts, key=lambda part: part.number))))

    def abort_upload(self, key: str, upload_id: str) -> None:
        if upload_id in self.uploads:
            assert self.uploads.pop(upload_id).key == key, "NoSuchUpload"

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> str:
        upload = self._upload(key, upload_id)
        listed = sorted(parts, key=lambda part: part.number)
        bodies = [upload.parts[part.number] for part in listed]
        assert [part.etag for part in listed] == [_part(0, body).etag for body in bodies], "InvalidPart"
        assert all(len(body) >= SMALLEST_PART_BYTES for body in bodies[:-1]), "EntityTooSmall"
        self.put(key, b"".join(bodies))
        del self.uploads[upload_id]
        return encoded(crc64nvme(self.objects[key]))

    def abort_uploads(self, prefix: str) -> int:
        below = [each for each, upload in self.uploads.items() if upload.key.startswith(prefix)]
        for upload_id in below:
            del self.uploads[upload_id]
        return len(below)

    def put(self, key: str, body: bytes) -> None:
        self.objects[key], self.written[key] = body, self.clock.now()

    def put_archive(self, key: str, entries: Sequence[Entry]) -> None:
        if len(self.objects.get(key, b"")) == packed_bytes(entries):
            return
        read = lambda entry: (entry.content or b"" if entry.key is None else self.objects[entry.key],)  # noqa: E731
        self.put(key, b"".join(packed(entries, read)))

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def read(self, key: str, offset: int, size_bytes: int) -> bytes:
        if key not in self.objects:
            raise NotFound(f"There is no {key}.", key=key)
        return self.objects[key][offset : offset + size_bytes]

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(body) for key, body in sorted(self.objects.items()) if key.startswith(prefix)}

    def delete(self, prefix: str) -> int:
        below = [key for key in self.objects if key.startswith(prefix)]
        if kept := self.keeps & set(below):
            raise Terminal(f"S3 keeps {kept}.")
        for key in below:
            del self.objects[key]
        return len(below)

    def _held(self, stored: StoredObject) -> bytes:
        """Return what S3 copies. Raises: as S3 refuses to."""
        own = stored.bucket == self.name
        body = self.objects.get(stored.key) if own else self.elsewhere(f"{stored.bucket}/{stored.key}")
        if body is None:
            raise SourceNotFound(f"There is no s3://{stored.bucket}/{stored.key}.")
        if _etag(body) != stored.etag:
            raise SourceChanged(f"s3://{stored.bucket}/{stored.key} has been replaced since it was listed.")
        return body

    def _upload(self, key: str, upload_id: str) -> _Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise NotFound(f"The upload of {key} is over or was aborted.", key=key)
        return upload


@dataclass
class FakeBodies:
    """Implements `ports.InvocationBodies`."""

    clock: ManualClock = field(default_factory=ManualClock)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept_since: dict[str, datetime] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    stores: dict[str, tuple[bytes, str, datetime]] = field(default_factory=dict)
    """What lies at a location: its bytes, their type, and when they were written."""
    bucket: str = "artifacts-bucket"

    def put_request(self, invocation_id: str, request: InvocationRequest) -> None:
        self.kept_since[invocation_id] = self.clock.now()
        self.requests[invocation_id] = request.dump()

    def get_request(self, invocation_id: str) -> InvocationRequest:
        if invocation_id not in self.requests:
            raise NotFound(f"The request of invocation {invocation_id} is no longer kept.", id=invocation_id)
        return InvocationRequest.model_validate(self.requests[invocation_id])

    def put_output(self, invocation_id: str, output: dict[str, Any]) -> None:
        self.outputs[invocation_id] = output

    def reserve_output(self, invocation_id: str) -> None:
        self.outputs[invocation_id] = {}

    def get_output(self, invocation_id: str) -> dict[str, Any] | None:
        return self.outputs.get(invocation_id) or None

    def put_content(self, invocation_id: str, data: bytes, content_type: str) -> str:
        return self.write(f"s3://{self.bucket}/invocations/{invocation_id}/content", data, content_type)

    def put_result(self, invocation_id: str, data: bytes, content_type: str) -> str:
        return self.write(f"s3://{self.bucket}/invocations/{invocation_id}/result", data, content_type)

    def put_failure(self, invocation_id: str, told: str) -> None:
        self.failures[invocation_id] = told

    def get_failure(self, invocation_id: str) -> str | None:
        return self.failures.get(invocation_id)

    def stored(self, location: str) -> StoredBody | None:
        found = self.stores.get(location)
        return found and StoredBody(size_bytes=len(found[0]), content_type=found[1], written_at=found[2])

    def read(self, location: str, limit_bytes: int) -> bytes | None:
        found = self.stores.get(location)
        return found and found[0][:limit_bytes]

    def address_of(self, location: str) -> str | None:
        ours = location.startswith(f"s3://{self.bucket}/")
        return f"https://{self.bucket}.example/{location.rpartition('/')[2]}?signed" if ours else None

    def upload_address(self, input_id: str, request: InputRequest) -> UploadAddress:
        return UploadAddress(
            location=f"s3://{self.bucket}/invocations/inputs/{input_id}",
            url=f"https://{self.bucket}.example/{input_id}?signed",
            headers={"Content-Type": request.content_type},
            expires_at=self.clock.now() + timedelta(hours=1),
        )

    def is_input(self, location: str) -> bool:
        return location.startswith(f"s3://{self.bucket}/invocations/inputs/")

    def write(self, location: str, data: bytes, content_type: str) -> str:
        """Put bytes at a location, as a container does; return it."""
        self.stores[location] = (data, content_type, self.clock.now())
        return location


@dataclass
class FakeInventory:
    """Implements `ports.Inventory` over the other fakes. `pages` is how many items one list gives at most."""

    bucket: FakeBucket
    bodies: FakeBodies
    source: FakeSource
    upload_root: str
    pages: int = 1000
    trouble: dict[str, PilotlightError] = field(default_factory=dict)
    """What a list raises, by the name of its method."""

    def artifact_ids(self) -> list[str]:
        self._see("artifact_ids")
        return sorted({key.split("/")[1] for key in self.bucket.objects if key.startswith("artifacts/")})

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        self._see("unfinished_uploads")
        return [
            UnfinishedUpload(key=upload.key, upload_id=upload_id, begun_at=upload.begun_at)
            for upload_id, upload in self.bucket.uploads.items()
        ]

    def newest_write(self, prefix: str) -> datetime | None:
        self._see("newest_write")
        written = [self._written(key) for key in self.bucket.objects if key.startswith(prefix)]
        begun = [upload.begun_at for upload in self.bucket.uploads.values() if upload.key.startswith(prefix)]
        kept = [moment for key, moment in self.bodies.kept_since.items() if f"invocations/{key}/" == prefix]
        return max([*written, *begun, *kept], default=None)

    def abort(self, upload: UnfinishedUpload) -> None:
        self.bucket.uploads.pop(upload.upload_id, None)

    def invocation_ids(self, after: str | None) -> tuple[list[str], str | None]:
        self._see("invocation_ids")
        return self._page(sorted({*self.bodies.requests, *self.bodies.outputs}), after)

    def forget_invocation(self, invocation_id: str) -> None:
        self.bodies.requests.pop(invocation_id, None)
        self.bodies.outputs.pop(invocation_id, None)

    def uploaded_folders(self, after: str | None) -> tuple[list[FoundFolder], str | None]:
        self._see("uploaded_folders")
        found = {name: files for name, files in self.source.folders(self.upload_root).items() if files}
        names, following = self._page(sorted(found), after)
        return [FoundFolder(folder=name, files=tuple(found[name])) for name in names], following

    def _written(self, key: str) -> datetime:
        return self.bucket.written.get(key, NOON)

    def _page(self, items: list[str], after: str | None) -> tuple[list[str], str | None]:
        rest = [item for item in items if after is None or item > after]
        return rest[: self.pages], rest[self.pages - 1] if len(rest) > self.pages else None

    def _see(self, name: str) -> None:
        if name in self.trouble:
            raise self.trouble[name]


def _files(contents: Mapping[str, bytes]) -> Iterator[SourceFile]:
    for path, content in sorted(contents.items()):
        yield SourceFile(path=path, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _part(number: int, body: bytes) -> UploadedPart:
    checksum = encoded(crc64nvme(body))
    return UploadedPart(number=number, size_bytes=len(body), etag=f'"{_etag(body)}"', checksum_crc64nvme=checksum)
