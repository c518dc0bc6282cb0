"""The upload bucket in memory: objects, and uploads in parts whose CRC32 is checked where they are joined."""

import zlib
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pilotlight.domain.errors import InvalidInput, NotFound
from pilotlight.domain.folder_upload import HeldFile, HeldPart, PartToUpload, SignedPut
from pilotlight_client.crc32 import encoded, joined

from tests.fakes.machinery import ManualClock


@dataclass
class FakeUploadBucket:
    """Implements `ports.UploadBucket`."""

    clock: ManualClock = field(default_factory=ManualClock)
    bucket: str = "uploads"
    objects: dict[str, HeldFile] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, HeldPart]]] = field(default_factory=dict)
    """By its id, the key of an upload under way and its parts."""
    since: dict[str, datetime] = field(default_factory=dict)

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: file.size_bytes for key, file in sorted(self.objects.items()) if key.startswith(prefix)}

    def held(self, key: str) -> HeldFile | None:
        return self.objects.get(key)

    def unfinished(self, prefix: str) -> dict[str, str]:
        return {key: upload_id for upload_id, (key, _) in self.uploads.items() if key.startswith(prefix)}

    def begun(self, prefix: str) -> tuple[datetime, ...]:
        return tuple(self.since[upload_id] for upload_id, (key, _) in self.uploads.items() if key.startswith(prefix))

    def start(self, key: str) -> str:
        upload_id = f"upload-{len(self.since) + 1}"
        self.since[upload_id] = self.clock.now()
        self.uploads[upload_id] = (key, {})
        return upload_id

    def parts(self, key: str, upload_id: str) -> tuple[HeldPart, ...]:
        held = self._parts(key, upload_id)
        return tuple(held[number] for number in sorted(held))

    def address(self, key: str, upload_id: str | None, part: PartToUpload) -> SignedPut:
        return SignedPut(
            url=f"https://{self.bucket}.example/{key}?part={part.number}&upload={upload_id}&signed",
            headers={"Content-Length": str(part.size_bytes), "x-amz-checksum-crc32": part.checksum_crc32},
            expires_at=self.clock.now() + timedelta(hours=1),
        )

    def join(self, key: str, upload_id: str, parts: Sequence[HeldPart], checksum_crc32: str) -> None:
        self._parts(key, upload_id)
        crcs = [(int.from_bytes(b64decode(part.checksum_crc32 or ""), "big"), part.size_bytes) for part in parts]
        if encoded(joined(crcs)) != checksum_crc32:
            raise InvalidInput("The parts do not make that file.", field="checksum_crc32", rule="the whole's")
        self.objects[key] = HeldFile(size_bytes=sum(part.size_bytes for part in parts), checksum_crc32=checksum_crc32)
        del self.uploads[upload_id]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> None:
        """Put a part, as whoever has its address does."""
        self._parts(key, upload_id)[number] = HeldPart(
            number=number, size_bytes=len(body), checksum_crc32=encoded(zlib.crc32(body)), etag=f'"{number}"'
        )

    def _parts(self, key: str, upload_id: str) -> dict[int, HeldPart]:
        held_key, parts = self.uploads.get(upload_id, ("", {}))
        if held_key != key:
            raise NotFound(f"The upload of {key} is over or was aborted.", key=key)
        return parts
