"""The shapes of what the API says of a folder that is being uploaded; as those of `views`."""

from typing import Literal, NotRequired, TypedDict


class PartView(TypedDict):
    """A part that S3 holds of an unfinished upload."""

    number: int
    size_bytes: int
    checksum_crc32: NotRequired[str]


class FilePlan(TypedDict):
    """What S3 holds of a file: all of it, or some parts of an upload. One without an upload is put whole."""

    path: str
    part_bytes: int
    stored_checksum_crc32: NotRequired[str]
    upload_id: NotRequired[str]
    parts: list[PartView]


class UploadPlan(TypedDict):
    """What is to be done for a folder; `others` lie there beside the files that were told."""

    name: str
    location: str
    files: list[FilePlan]
    others: list[str]


class PartAddress(TypedDict):
    """Where a part is put: one PUT with just these headers. It is a secret until `expires_at`."""

    number: int
    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: str


class Addresses(TypedDict):
    """Where the parts that were asked for are put."""

    addresses: list[PartAddress]


class StoredFile(TypedDict):
    """A file that is whole in the upload bucket."""

    path: str
    size_bytes: int
    checksum_crc32: str


class LeftOut(TypedDict):
    """A file that was not uploaded, and why."""

    path: str
    reason: str


class UploadSummary(TypedDict):
    """What was sent of a folder, and the address that it can be deployed from.

    `parts_already_there_bytes` are those that S3 held of the files in `sent`, from an upload that did not end.
    """

    name: str
    address: str
    sent: list[str]
    already_there: list[str]
    left_out: list[LeftOut]
    sent_bytes: int
    parts_already_there_bytes: int
