"""A folder that is uploaded file by file at signed addresses: what is told of it before, and what S3 holds of it."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from pilotlight.domain.file_names import LARGEST_FILE_BYTES, LONGEST_KEY_BYTES, deceit
from pilotlight.domain.spans import MOST_PARTS
from pilotlight.domain.upload import ROOT
from pilotlight.domain.values import NAME_MAX, DeploymentName, Model, Moment, Request

MOST_FILES_AT_ONCE = 200  # each may cost S3 a look at its checksum or its parts, and a request has 29 s
MOST_ADDRESSES_AT_ONCE = 100
LARGEST_PART_BYTES = 5 * 1024**3  # also of one PUT. Source: Amazon S3 multipart upload limits
CRC32_PATTERN = r"^[A-Za-z0-9+/]{5}[AQgw]==$"
LONGEST_PATH_BYTES = LONGEST_KEY_BYTES - len(ROOT) - NAME_MAX - 1
LONGEST_UPLOAD_ID = 1024


def _a_path_within(path: str) -> str:
    if why := deceit(path):
        raise ValueError(f"{path[:120]!r} is not taken: {why}; rename the file")
    if len(path.encode("utf-8", "replace")) > LONGEST_PATH_BYTES:
        raise ValueError(f"a path has {LONGEST_PATH_BYTES} bytes at most, so that its key fits S3")
    return path


FilePath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_a_path_within)]
Crc32 = Annotated[str, StringConstraints(pattern=CRC32_PATTERN)]
UploadId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_UPLOAD_ID)]


class FileToUpload(Request):
    """A file that is to be uploaded; its path is relative to the folder, with slashes."""

    path: FilePath
    size_bytes: int = Field(ge=0, le=LARGEST_FILE_BYTES)
    replace: bool = Field(default=False, description="begin an upload though a file of that size is there")


class UploadRequest(Request):
    """Body of POST /uploads; a folder with more files is told in several."""

    name: DeploymentName
    files: tuple[FileToUpload, ...] = Field(min_length=1, max_length=MOST_FILES_AT_ONCE)


class PartToUpload(Request):
    """A part whose address is asked for; `checksum_crc32` in base64, big-endian, as S3 writes it."""

    number: int = Field(default=1, ge=1, le=MOST_PARTS)
    size_bytes: int = Field(ge=0, le=LARGEST_PART_BYTES)
    checksum_crc32: Crc32


class AddressesRequest(Request):
    """Body of POST /uploads/{name}/addresses. Without an upload's id the file is one part, put whole."""

    path: FilePath
    upload_id: UploadId | None = None
    parts: tuple[PartToUpload, ...] = Field(min_length=1, max_length=MOST_ADDRESSES_AT_ONCE)


class JoinRequest(Request):
    """Body of POST /uploads/{name}/files: the file whose parts are all there, and the CRC32 of the whole."""

    path: FilePath
    upload_id: UploadId
    size_bytes: int = Field(ge=1, le=LARGEST_FILE_BYTES)
    checksum_crc32: Crc32


class HeldPart(Model):
    """A part that S3 holds of an unfinished upload, as ListParts tells it."""

    number: int
    size_bytes: int
    checksum_crc32: str | None = None
    etag: str


class HeldFile(Model):
    """An object that S3 holds; its CRC32 is None where it was uploaded with another checksum."""

    size_bytes: int
    checksum_crc32: str | None = None


class SignedPut(Model):
    """Where one part is put, with exactly these headers: S3 refuses other bytes, and any after `expires_at`."""

    url: str
    headers: dict[str, str]
    expires_at: Moment
