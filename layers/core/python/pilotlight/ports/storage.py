"""Where bytes are: sources of checkpoints, the artifact bucket, bodies of invocations."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from pilotlight.domain.archive import Entry
from pilotlight.domain.cutting import Cutting
from pilotlight.domain.folder_upload import HeldFile, HeldPart, PartToUpload, SignedPut
from pilotlight.domain.invocation import InvocationRequest
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.domain.source import Listing, Piece, Source, SourceFile, StoredObject
from pilotlight.domain.spans import Part, UploadedPart
from pilotlight.domain.values import Model, Moment


class ModelSource(Protocol):
    """A hub or a bucket that holds checkpoints."""

    def resolve(self, source: Source) -> Listing:
        """Return all files at a pinned revision. Raises: SourceNotFound, SourceGated, Throttled, Unavailable."""
        ...

    def read(self, source: Source, path: str, *, limit_bytes: int) -> bytes:
        """Return one small file of a pinned source. Raises: SourceRefused when it is larger than the limit."""
        ...

    def stream(
        self, source: Source, file: SourceFile, *, offset: int, size_bytes: int, cutting: Cutting | None = None
    ) -> Iterator[Piece]:
        """Yield exactly that range of a file of a pinned source, until it is cut.

        Raises: BodyCutShort, SourceChanged.
        """
        ...


class ArtifactBucket(Protocol):
    """The bucket of weights."""

    def start_upload(self, key: str) -> str:
        """Return the id of a multipart upload of that key: the one under way, or a fresh one.

        One with another checksum than ours, which we could never complete, is aborted.
        """
        ...

    def parts(self, key: str, upload_id: str) -> dict[int, UploadedPart]:
        """Return the parts that S3 holds, by number. Raises: NotFound when the upload is gone."""
        ...

    def upload_part(self, key: str, upload_id: str, number: int, size_bytes: int, pieces: Iterable[Piece]) -> None:
        """Upload one part, its pieces as they come, with its CRC64NVME. Raises: NotFound when the upload is gone."""
        ...

    def copy_part(self, key: str, upload_id: str, part: Part, stored: StoredObject) -> None:
        """Let S3 copy a part from where it lies, with its CRC64NVME, if it has that ETag.

        Raises: NotFound when the upload is gone; SourceChanged, SourceNotFound, SourceGated, SourceRefused.
        """
        ...

    def copy(self, key: str, stored: StoredObject) -> None:
        """Let S3 copy a small object, if it has that ETag. Raises: as `copy_part`."""
        ...

    def stored(self, key: str) -> StoredObject | None:
        """Return what S3 tells of an object, with its checksum; None where there is none."""
        ...

    def checksum_of(self, key: str, parts: Sequence[UploadedPart]) -> str:
        """Return the CRC64NVME of the object that parts make. Raises: BodyCutShort where S3 tells none of a part."""
        ...

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadedPart]) -> str | None:
        """Join the parts to an object with the CRC64NVME that these make; return it as S3 gives it.

        Raises: NotFound when the upload is gone; BodyCutShort when a part has been replaced meanwhile.
        """
        ...

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload; one that is over is a success."""
        ...

    def abort_uploads(self, prefix: str) -> int:
        """Abort every upload below a prefix; return how many there were."""
        ...

    def put(self, key: str, body: bytes) -> None:
        """Write a small object with its checksum."""
        ...

    def put_archive(self, key: str, entries: Sequence[Entry]) -> None:
        """Write a tar.gz of contents and of other objects of this bucket, unless it is there whole already.

        It is there as a whole or not at all. Raises: BodyCutShort, NotFound for an object that is not there.
        """
        ...

    def get(self, key: str) -> bytes | None:
        """Return a small object, or None."""
        ...

    def read(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Return that many bytes of an object. Raises: NotFound, BodyCutShort."""
        ...

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return key and size of every object below a prefix."""
        ...

    def delete(self, prefix: str) -> int:
        """Delete every object below a prefix; return how many there were."""
        ...


class UploadBucket(Protocol):
    """The bucket of uploaded folders, as far as those who have no rights on it are concerned."""

    bucket: str

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return key and size of every object below a prefix."""
        ...

    def held(self, key: str) -> HeldFile | None:
        """Return an object's size and CRC32, or None."""
        ...

    def unfinished(self, prefix: str) -> dict[str, str]:
        """Return the newest upload of ours that is under way for each key below a prefix, by its id."""
        ...

    def begun(self, prefix: str) -> tuple[datetime, ...]:
        """Return when each upload that is under way below a prefix began, whoever began it."""
        ...

    def start(self, key: str) -> str:
        """Return the id of a fresh multipart upload, whose parts and whole have a CRC32."""
        ...

    def parts(self, key: str, upload_id: str) -> tuple[HeldPart, ...]:
        """Return the parts that S3 holds, in order. Raises: NotFound when the upload is gone."""
        ...

    def address(self, key: str, upload_id: str | None, part: PartToUpload) -> SignedPut:
        """Return where a part, or a file that is none of parts, may be put within an hour."""
        ...

    def join(self, key: str, upload_id: str, parts: Sequence[HeldPart], checksum_crc32: str) -> None:
        """Make one object of parts.

        Raises: InvalidInput for another CRC32; NotFound when the upload is gone; ConcurrentChange where a part was put
        again since it was listed.
        """
        ...


class StoredBody(Model):
    """A body that lies in our bucket: how long it is, what it says that it is, and when it was written."""

    size_bytes: int
    content_type: str
    written_at: Moment


class UploadAddress(Model):
    """Where and how an input may be uploaded by whoever knows this: a secret until it expires."""

    location: str
    url: str
    headers: dict[str, str]
    expires_at: Moment


class InvocationBodies(Protocol):
    """Requests and outputs of invocations: encrypted, and gone after their time.

    A location is an address of S3 (`s3://…`). Only those below our own prefixes are ever read or signed.
    """

    bucket: str

    def put_request(self, invocation_id: str, request: InvocationRequest) -> None:
        """Keep what was asked."""
        ...

    def get_request(self, invocation_id: str) -> InvocationRequest:
        """Return what was asked. Raises: NotFound once it has expired."""
        ...

    def put_output(self, invocation_id: str, output: dict[str, Any]) -> None:
        """Keep what was answered."""
        ...

    def reserve_output(self, invocation_id: str) -> None:
        """Prove that an answer can be kept, by writing an empty one in its place: it counts as none."""
        ...

    def get_output(self, invocation_id: str) -> dict[str, Any] | None:
        """Return what was answered, or None before that and once it has expired."""
        ...

    def put_content(self, invocation_id: str, data: bytes, content_type: str) -> str:
        """Keep what a container is to be sent; return its location."""
        ...

    def put_result(self, invocation_id: str, data: bytes, content_type: str) -> str:
        """Keep what a container answered; return its location."""
        ...

    def put_failure(self, invocation_id: str, told: str) -> None:
        """Keep a service's or a container's own words for a failure: for the caller alone."""
        ...

    def get_failure(self, invocation_id: str) -> str | None:
        """Return such words, or None."""
        ...

    def stored(self, location: str) -> StoredBody | None:
        """Return what lies at a location, or None."""
        ...

    def read(self, location: str, limit_bytes: int) -> bytes | None:
        """Return the first bytes of what lies at a location, or None."""
        ...

    def address_of(self, location: str) -> str | None:
        """Return an address from which a body of ours can be fetched for some minutes; None for anybody else's."""
        ...

    def upload_address(self, input_id: str, request: InputRequest) -> UploadAddress:
        """Return where an input may be uploaded."""
        ...

    def is_input(self, location: str) -> bool:
        """Say whether a location is that of an input which was uploaded so."""
        ...
