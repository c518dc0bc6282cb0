"""What the API is asked about one folder that is being uploaded; each request is safe to repeat."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pilotlight_client.connection import Connection
from pilotlight_client.invoking import given, path_of
from pilotlight_client.upload_views import Addresses, StoredFile, UploadPlan


class UploadRequests:
    """Asks on behalf of one name."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def plan(self, files: Sequence[Mapping[str, Any]]) -> UploadPlan:
        """Return what S3 holds of these files."""
        return cast(UploadPlan, self._ask("/uploads", {"name": self._name, "files": list(files)}))

    def addresses(self, path: str, parts: Sequence[Mapping[str, Any]], upload_id: str | None) -> Addresses:
        """Return where parts of a file may be put; of one without an upload's id, where it is put whole."""
        body = given({"path": path, "upload_id": upload_id, "parts": list(parts)})
        return cast(Addresses, self._ask(path_of("uploads", self._name, "addresses"), body))

    def join(self, path: str, upload_id: str, size_bytes: int, checksum_crc32: str) -> StoredFile:
        """Join the parts of a file."""
        body = {"path": path, "upload_id": upload_id, "size_bytes": size_bytes, "checksum_crc32": checksum_crc32}
        return cast(StoredFile, self._ask(path_of("uploads", self._name, "files"), body))

    def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._connection.send("POST", path, body=body).json()
