"""SageMaker JumpStart's catalogue, as it lies in the bucket that AWS keeps for each region.

The manifest names a spec for every version of every model. Both are read with the role that the client carries; the
bucket belongs to AWS, so that role needs s3:GetObject on it by its own policy. Nothing is kept between two calls: what
`*` stands for may be another version at any time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import DENIED, code_of, translated
from pilotlight.domain.errors import AccessDenied, SourceNotFound, SourceRefused
from pilotlight.domain.jumpstart import JumpStartModel
from pilotlight.domain.jumpstart_manifest import MANIFEST_KEY, Buckets, choose
from pilotlight.domain.jumpstart_spec import read_spec
from pilotlight.domain.source import Source
from pilotlight.domain.strict_json import UnreadableError, json_object, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024 * 1024
MOST_MANIFEST_BYTES = 64 * MIB
MOST_SPEC_BYTES = 8 * MIB
MOST_EULA_BYTES = MIB

_MISSING = frozenset({"NoSuchBucket", "NoSuchKey", "404"})


class S3JumpStartCatalogue:
    """Reads JumpStart's catalogue of a region; other buckets than AWS's may stand for its own."""

    def __init__(self, s3_client: "S3Client", region: str, *, bucket: str = "", gated_bucket: str = "") -> None:
        self._s3 = s3_client
        self._region = region
        self._given = {"cache": bucket, "gated": gated_bucket}

    def resolve(self, source: Source) -> JumpStartModel:
        """Return the model of a source at a pinned version.

        Raises: SourceNotFound, with near names or with the versions that exist; SourceRefused for a region without
        JumpStart and for what is no manifest or no spec; AccessDenied, Throttled, Unavailable.
        """
        buckets = Buckets.of(self._region, **self._given)
        entry = choose(self._manifest(buckets), source, self._region)
        spec = self._read(buckets, entry.spec_key, MOST_SPEC_BYTES)
        try:
            document = json_object(spec)
        except UnreadableError as exc:
            raise SourceRefused(f"The spec s3://{buckets.cache}/{entry.spec_key} cannot be read: {exc}.") from exc
        return read_spec(document, model_id=entry.model_id, version=entry.version, buckets=buckets)

    def eula(self, source: Source) -> str | None:
        """Return the text of the terms of a model, or None where there are none to read.

        Raises: as `resolve`.
        """
        uri = self.resolve(source).eula_uri
        if uri is None:
            return None
        buckets = Buckets.of(self._region, **self._given)
        key = uri.removeprefix(f"s3://{buckets.cache}/")
        return self._read(buckets, key, MOST_EULA_BYTES).decode("utf-8", errors="replace")

    def _manifest(self, buckets: Buckets) -> list[Any]:
        manifest = self._read(buckets, MANIFEST_KEY, MOST_MANIFEST_BYTES)
        try:
            entries = read_json(manifest)
        except UnreadableError as exc:
            raise SourceRefused(f"s3://{buckets.cache}/{MANIFEST_KEY} cannot be read: {exc}.") from exc
        if not isinstance(entries, list):
            raise SourceRefused(f"s3://{buckets.cache}/{MANIFEST_KEY} is not the list of models that it should be.")
        return entries

    def _read(self, buckets: Buckets, key: str, limit_bytes: int) -> bytes:
        """Return an object of the cache bucket. Raises: SourceRefused where it is larger than anybody needs."""
        where = f"s3://{buckets.cache}/{key}"
        with translated(f"Reading {where}"), _named(where):
            answer = self._s3.get_object(Bucket=buckets.cache, Key=key)
            with answer["Body"] as body:
                content = body.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise SourceRefused(f"{where} is larger than the {limit_bytes} bytes that it may have.")
        return content


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Say of what is missing or forbidden where it should be, and what lets it be read."""
    try:
        yield
    except ClientError as exc:
        if code_of(exc) in _MISSING:
            raise SourceNotFound(f"JumpStart's catalogue has no {where}. Name another version or region.") from exc
        if code_of(exc) in DENIED:
            raise AccessDenied(
                f"Our role may not read {where}, or it is not there. Allow the role s3:GetObject on JumpStart's bucket."
            ) from exc
        raise
