"""Requests and answers of invocations in S3: encrypted with the bucket's key; the bucket's lifecycle removes them.

`invocations/<id>/` holds what we write ourselves, `invocations/inputs/` what callers upload, and `results/` what an
asynchronous endpoint writes. Nothing else is ever read or signed here, whatever a location says.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import ValidationError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.errors import NotFound, Terminal
from pilotlight.domain.invocation import InvocationRequest
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.ports import StoredBody, UploadAddress

MISSING = frozenset({"NoSuchKey", "404"})
"""A refusal is not among them: whoever reads bodies may list them, so that S3 says 404 of what has expired. Taken for
an absent answer, one denied read would have it generated, and paid for, again."""

INPUTS = "invocations/inputs/"
RESULTS = "results/"
OURS = ("invocations/", RESULTS)
FETCHED_WITHIN = timedelta(minutes=15)
UPLOADED_WITHIN = timedelta(hours=1)
# Whoever gets an address has no credentials: it must be signed as KMS asks, by Signature Version 4.
SIGNING = Config(signature_version="s3v4", retries={"mode": "standard", "total_max_attempts": 3})
_LOCATION = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.+)")


class S3InvocationBodies:
    """Implements `ports.InvocationBodies`."""

    def __init__(self, client: Any, bucket: str, signer: Callable[[], Any], now: Callable[[], datetime]) -> None:
        """Take a client; `signer` makes one that signs addresses, when the first is asked for."""
        self._client = client
        self.bucket = bucket
        self._signer = signer
        self._now = now

    def put_request(self, invocation_id: str, request: InvocationRequest) -> None:
        """Keep what was asked."""
        self._put_json(f"invocations/{invocation_id}/request.json", request.dump())

    def get_request(self, invocation_id: str) -> InvocationRequest:
        """Return what was asked. Raises: NotFound once it has expired."""
        told = self._get_json(f"invocations/{invocation_id}/request.json")
        if told is None:
            raise NotFound(f"The request of invocation {invocation_id} is no longer kept.", id=invocation_id)
        try:
            return InvocationRequest.model_validate(told)
        except ValidationError as exc:
            raise Terminal(f"The request of invocation {invocation_id} cannot be read.", id=invocation_id) from exc

    def put_output(self, invocation_id: str, output: dict[str, Any]) -> None:
        """Keep what was answered."""
        self._put_json(f"invocations/{invocation_id}/output.json", output)

    def reserve_output(self, invocation_id: str) -> None:
        """Prove that an answer can be kept, by writing an empty one in its place: it counts as none."""
        self._put_json(f"invocations/{invocation_id}/output.json", {})

    def get_output(self, invocation_id: str) -> dict[str, Any] | None:
        """Return what was answered, or None before that and once it has expired."""
        return self._get_json(f"invocations/{invocation_id}/output.json") or None

    def put_content(self, invocation_id: str, data: bytes, content_type: str) -> str:
        """Keep what a container is to be sent; return its location."""
        return self._put(f"invocations/{invocation_id}/content", data, content_type)

    def put_result(self, invocation_id: str, data: bytes, content_type: str) -> str:
        """Keep what a container answered; return its location."""
        return self._put(f"invocations/{invocation_id}/result", data, content_type)

    def put_failure(self, invocation_id: str, told: str) -> None:
        """Keep a service's or a container's own words for a failure: for the caller alone."""
        self._put_json(f"invocations/{invocation_id}/failure.json", {"told": told})

    def get_failure(self, invocation_id: str) -> str | None:
        """Return such words, or None."""
        told = (self._get_json(f"invocations/{invocation_id}/failure.json") or {}).get("told")
        return told if isinstance(told, str) else None

    def stored(self, location: str) -> StoredBody | None:
        """Return what lies at a location, or None."""
        key = self._key(location)
        if key is None:
            return None
        with translated(f"looking at {key}"):
            try:
                told = self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
        return StoredBody(
            size_bytes=told["ContentLength"],
            content_type=told.get("ContentType") or "application/octet-stream",
            written_at=told["LastModified"],
        )

    def read(self, location: str, limit_bytes: int) -> bytes | None:
        """Return the first bytes of what lies at a location, or None."""
        key = self._key(location)
        return None if key is None else self._get(key, limit_bytes)

    def address_of(self, location: str) -> str | None:
        """Return an address from which a body of ours can be fetched for some minutes; None for anybody else's."""
        key = self._key(location)
        if key is None:
            return None
        within = int(FETCHED_WITHIN.total_seconds())
        given = {"Bucket": self.bucket, "Key": key}
        with translated(f"signing an address of {key}"):
            return str(self._signer().generate_presigned_url("get_object", Params=given, ExpiresIn=within))

    def upload_address(self, input_id: str, request: InputRequest) -> UploadAddress:
        """Return where an input may be uploaded, of that type, and of that size where it is told."""
        key = f"{INPUTS}{input_id}"
        given: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "ContentType": request.content_type}
        headers = {"Content-Type": request.content_type}
        if request.size_bytes is not None:
            given["ContentLength"] = request.size_bytes
            headers["Content-Length"] = str(request.size_bytes)
        within = int(UPLOADED_WITHIN.total_seconds())
        with translated(f"signing an address of {key}"):
            url = self._signer().generate_presigned_url("put_object", Params=given, ExpiresIn=within)
        return UploadAddress(
            location=f"s3://{self.bucket}/{key}",
            url=str(url),
            headers=headers,
            expires_at=self._now() + UPLOADED_WITHIN,
        )

    def is_input(self, location: str) -> bool:
        """Say whether a location is that of an input which was uploaded so."""
        return (self._key(location) or "").startswith(INPUTS)

    def _key(self, location: str) -> str | None:
        """Return the key that a location names, if it is one of ours."""
        match = _LOCATION.fullmatch(location)
        ours = match and match["bucket"] == self.bucket and match["key"].startswith(OURS)
        return match["key"] if match and ours else None

    def _put_json(self, key: str, content: dict[str, Any]) -> None:
        self._put(key, json.dumps(content, ensure_ascii=False).encode(), "application/json")

    def _put(self, key: str, data: bytes, content_type: str) -> str:
        with translated(f"writing {key}"):
            self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType=content_type,  # and no encryption: to name KMS without a key is to name AWS's own
            )
        return f"s3://{self.bucket}/{key}"

    def _get_json(self, key: str) -> dict[str, Any] | None:
        body = self._get(key)
        if body is None:
            return None
        try:
            content: dict[str, Any] = json.loads(body)
        except ValueError as exc:
            raise Terminal(f"{key} is not JSON.") from exc
        return content

    def _get(self, key: str, limit_bytes: int | None = None) -> bytes | None:
        with translated(f"reading {key}"):
            try:
                body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
            except ClientError as exc:
                if code_of(exc) in MISSING:
                    return None
                raise
            content: bytes = body.read() if limit_bytes is None else body.read(limit_bytes)
        return content
