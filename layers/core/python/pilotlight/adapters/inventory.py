"""What lies in our two buckets, listed page by page to the end."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, islice
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.artifact_bucket import MOST_DELETES
from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.part_upload import UPLOAD_GONE
from pilotlight.domain.orphans import FoundFolder
from pilotlight.domain.source import SourceFile
from pilotlight.domain.upload import ROOT, folder_of
from pilotlight.ports import UnfinishedUpload

ARTIFACTS = "artifacts/"
INVOCATIONS = "invocations/"
MOST_INVOCATIONS = 1000  # of one pass
MOST_UPLOADED_FILES = 50_000  # of one pass: a folder has hundreds at most


class S3Inventory:
    """Implements `ports.Inventory`."""

    def __init__(self, client: Any, artifact_bucket: str, upload_bucket: str) -> None:
        self._client = client
        self._artifacts = artifact_bucket
        self._uploads = upload_bucket

    def artifact_ids(self) -> list[str]:
        """Return the folders below `artifacts/` in which there are objects."""
        return list(self._folders(ARTIFACTS, None))

    def unfinished_uploads(self) -> list[UnfinishedUpload]:
        """Return the unfinished uploads below `artifacts/`."""
        return self._unfinished(ARTIFACTS)

    def newest_write(self, prefix: str) -> datetime | None:
        """Return when the newest object or unfinished upload below a prefix was written, None where there is none."""
        with translated(f"listing {prefix}"):
            written = [each["LastModified"] for each in self._objects(self._artifacts, Prefix=prefix)]
        return max([*written, *(upload.begun_at for upload in self._unfinished(prefix))], default=None)

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort one upload; one already over is a success."""
        with translated(f"aborting the upload of {upload.key}"):
            try:
                self._client.abort_multipart_upload(Bucket=self._artifacts, Key=upload.key, UploadId=upload.upload_id)
            except ClientError as exc:
                if code_of(exc) != UPLOAD_GONE:
                    raise

    def invocation_ids(self, after: str | None) -> tuple[list[str], str | None]:
        """Return the next invocations whose bodies are kept, and where the list goes on; None at its end."""
        ids = list(islice(self._folders(INVOCATIONS, after), MOST_INVOCATIONS))
        return ids, ids[-1] if len(ids) == MOST_INVOCATIONS else None

    def forget_invocation(self, invocation_id: str) -> None:
        """Delete the bodies of one invocation. Raises: Terminal when S3 keeps one of them."""
        prefix = f"{INVOCATIONS}{invocation_id}/"
        with translated(f"deleting {prefix}"):
            found = [{"Key": each["Key"]} for each in self._objects(self._artifacts, Prefix=prefix)]
            if not found:
                return
            chosen = {"Objects": found[:MOST_DELETES], "Quiet": True}
            answer = self._client.delete_objects(Bucket=self._artifacts, Delete=chosen)
            for error in answer.get("Errors", [])[:1]:
                raise ClientError({"Error": error}, "DeleteObjects")

    def uploaded_folders(self, after: str | None) -> tuple[list[FoundFolder], str | None]:
        """Return the next uploaded folders, each whole, and where the list goes on; None at its end.

        The list is cut between two folders: one that alone is larger than a pass may list is given as far as it goes.
        """
        begin = {"StartAfter": f"{ROOT}{after}0"} if after else {}  # "0" follows "/": after all keys of that folder
        with translated(f"listing {ROOT}"):
            listed = list(islice(self._objects(self._uploads, Prefix=ROOT, **begin), MOST_UPLOADED_FILES))
        whole = len(listed) < MOST_UPLOADED_FILES
        in_folders = [each for each in listed if folder_of(each["Key"]) and not each["Key"].endswith("/")]
        folders = [_folder(str(name), each) for name, each in groupby(in_folders, lambda each: folder_of(each["Key"]))]
        if not whole and len(folders) > 1:
            folders.pop()
        return folders, None if whole or not folders else folders[-1].folder

    def _folders(self, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the names of the folders directly below a prefix, beginning after one of them."""
        begin = {"StartAfter": f"{prefix}{after}0"} if after else {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._artifacts, Prefix=prefix, Delimiter="/", **begin
        )
        with translated(f"listing {prefix}"):
            for page in pages:
                for each in page.get("CommonPrefixes", []):
                    yield each["Prefix"].removeprefix(prefix).rstrip("/")

    def _objects(self, bucket: str, **query: Any) -> Iterator[dict[str, Any]]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, **query):
            yield from page.get("Contents", [])

    def _unfinished(self, prefix: str) -> list[UnfinishedUpload]:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._artifacts, Prefix=prefix)
        with translated(f"listing the uploads below {prefix}"):
            return [
                UnfinishedUpload(key=each["Key"], upload_id=each["UploadId"], begun_at=each["Initiated"])
                for page in pages
                for each in page.get("Uploads", [])
            ]


def _folder(name: str, objects: Iterator[dict[str, Any]]) -> FoundFolder:
    files = (
        SourceFile(
            path=each["Key"].removeprefix(f"{ROOT}{name}/"),
            size_bytes=each["Size"],
            etag=each["ETag"].strip('"'),
            modified_at=each["LastModified"],
        )
        for each in objects
    )
    return FoundFolder(folder=name, files=tuple(files))
