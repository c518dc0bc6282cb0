"""Uploads of folders by whoever may call the API, and has no rights on a bucket: S3 itself keeps how far they are."""

from pilotlight.contracts import (
    AddressesView,
    FilePlanView,
    PartAddress,
    PartView,
    StoredFileView,
    UploadPlanView,
)
from pilotlight.domain.errors import InvalidInput, NotFound
from pilotlight.domain.folder_upload import (
    AddressesRequest,
    FileToUpload,
    HeldFile,
    HeldPart,
    JoinRequest,
    UploadRequest,
)
from pilotlight.domain.spans import SpanLimits, is_multipart, part_bytes_for, parts_of
from pilotlight.domain.upload import ROOT, folder_problem
from pilotlight.ports import UploadBucket


class Placing:
    """Says what is still to be sent of a folder, where to, and joins what has come."""

    def __init__(self, bucket: UploadBucket, limits: SpanLimits) -> None:
        self._bucket = bucket
        self._limits = limits

    def plan(self, request: UploadRequest) -> UploadPlanView:
        """Return what S3 holds of these files already, and begin an upload in parts of each that needs one.

        A file up to 5 MiB is put whole, at one address. A larger one takes the place of another only when it is joined,
        however slowly it comes, also where it is one part.
        """
        prefix = f"{ROOT}{request.name}/"
        sizes = self._bucket.sizes(prefix)
        under_way = self._bucket.unfinished(prefix)
        told = {file.path for file in request.files}
        others = tuple(sorted(key.removeprefix(prefix) for key in sizes if key.removeprefix(prefix) not in told))
        return UploadPlanView(
            name=request.name,
            location=f"s3://{self._bucket.bucket}/{prefix}",
            files=tuple(self._plan(prefix, file, sizes, under_way) for file in request.files),
            others=others,
        )

    def addresses(self, name: str, request: AddressesRequest) -> AddressesView:
        """Return where these parts of a file may be put within an hour.

        Raises: InvalidInput for several parts of a file that is put whole, and for a name that no deployment may have.
        """
        if request.upload_id is None and len(request.parts) > 1:
            raise InvalidInput(
                "Parts need the id of their upload, which POST /uploads gives; a file without one is put whole.",
                field="upload_id",
                rule="an id where there are several parts",
            )
        key = _key(name, request.path)
        return AddressesView(
            addresses=tuple(
                PartAddress(number=part.number, **dict(self._bucket.address(key, request.upload_id, part)))
                for part in request.parts
            )
        )

    def join(self, name: str, request: JoinRequest) -> StoredFileView:
        """Join the parts that S3 says it holds to a file; a repeat gives the same answer.

        Raises: InvalidInput where they do not make the file that was told; NotFound when the upload is gone;
        ConcurrentChange where one of them was put again meanwhile.
        """
        key = _key(name, request.path)
        wanted = HeldFile(size_bytes=request.size_bytes, checksum_crc32=request.checksum_crc32)
        try:
            self._bucket.join(key, request.upload_id, self._all_parts(key, request), request.checksum_crc32)
        except NotFound:  # it was joined before, or just now by a request whose answer was lost
            if self._bucket.held(key) != wanted:
                raise
        return StoredFileView(path=request.path, **dict(wanted))

    def _all_parts(self, key: str, request: JoinRequest) -> tuple[HeldPart, ...]:
        """Return the parts of a file. Raises: InvalidInput where S3 lacks one; NotFound when the upload is gone."""
        parts = self._fitting(key, request.upload_id, request.size_bytes)
        held_bytes = sum(part.size_bytes for part in parts)
        if held_bytes != request.size_bytes:
            raise InvalidInput(
                f"S3 holds {held_bytes} of the {request.size_bytes} bytes of {request.path}, in {len(parts)} "
                "parts. Send the parts that are missing; POST /uploads lists those that are there.",
                field="size_bytes",
                rule="the bytes of all parts",
            )
        return parts

    def _fitting(self, key: str, upload_id: str, size_bytes: int) -> tuple[HeldPart, ...]:
        """Return the held parts that are parts of a file of this size, as it is cut now. Raises: NotFound.

        Others are of the file when it was longer, or of another part size: S3 drops what a join does not list.
        """
        wanted = {
            part.number: part.size_bytes for part in parts_of(size_bytes, part_bytes_for(size_bytes, self._limits))
        }
        held = self._bucket.parts(key, upload_id)
        return tuple(part for part in held if wanted.get(part.number) == part.size_bytes)

    def _plan(self, prefix: str, file: FileToUpload, sizes: dict[str, int], under_way: dict[str, str]) -> FilePlanView:
        key = prefix + file.path
        part_bytes = part_bytes_for(file.size_bytes, self._limits)
        held = self._bucket.held(key) if sizes.get(key) == file.size_bytes else None
        stored = held.checksum_crc32 if held else None
        if not is_multipart(file.size_bytes) or (stored and not file.replace):
            return FilePlanView(path=file.path, part_bytes=part_bytes, stored_checksum_crc32=stored)
        upload_id, parts = self._going_on(key, file.size_bytes, under_way)
        return FilePlanView(path=file.path, part_bytes=part_bytes, upload_id=upload_id, parts=parts)

    def _going_on(self, key: str, size_bytes: int, under_way: dict[str, str]) -> tuple[str, tuple[PartView, ...]]:
        if upload_id := under_way.get(key):
            try:
                held = self._fitting(key, upload_id, size_bytes)
            except NotFound:  # it was joined, or aborted, since it was listed
                return self._bucket.start(key), ()
            return upload_id, tuple(PartView.model_validate(dict(part)) for part in held)
        return self._bucket.start(key), ()


def _key(name: str, path: str) -> str:
    if problem := folder_problem(name):
        raise InvalidInput(problem, field="name", rule="a name that a deployment may have")
    return f"{ROOT}{name}/{path}"
