"""What S3 says when an object comes or goes: once, in its real shape, after the caller has been answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from secrets import token_hex
from time import time_ns
from typing import Any

from moto.awslambda.utils import get_backend
from moto.s3 import notifications
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.notifications import S3NotificationEvent

from local import events
from local.delivery import deliveries
from local.seams import replace

_REASONS = {
    "s3:ObjectCreated:Put": "PutObject",
    "s3:ObjectCreated:Post": "POST Object",
    "s3:ObjectCreated:Copy": "CopyObject",
    "s3:ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete": "DeleteObject",
    "s3:ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}
PUT = ("s3:ObjectCreated:Put", "s3:ObjectCreated:Post")
COPY = "s3:ObjectCreated:Copy"
_sequence = count(time_ns())
_serving = threading.local()


def install() -> None:
    """Replace how moto's S3 tells of objects."""
    deliveries.open()
    replace(notifications, "send_event", _later)
    replace(notifications, "_invoke_awslambda", lambda _: _invoke)
    replace(notifications, "_send_event_bridge_message", lambda _: _publish)
    replace(S3Backend, "complete_multipart_upload", _tells("s3:ObjectCreated:CompleteMultipartUpload"))
    replace(S3Backend, "_set_delete_marker", _tells_of_markers)


@contextmanager
def telling_only(*names: str) -> Iterator[None]:
    """Within, only these events are sent: moto says Put and Tagging while it does something larger."""
    before = getattr(_serving, "names", None)
    _serving.names = names if before is None else before
    try:
        yield
    finally:
        _serving.names = before


def _tells(*names: str) -> Any:
    """Completing an upload is one event, not also a Put and a Tagging; a Put is not also a Tagging."""

    def make(original: Any) -> Any:
        def telling(*args: Any, **kwargs: Any) -> Any:
            with telling_only(*names):
                return original(*args, **kwargs)

        return telling

    return make


def _tells_of_markers(original: Any) -> Any:
    """A delete marker is an Object Deleted event too; moto says nothing."""

    def set_delete_marker(backend: S3Backend, bucket_name: str, key_name: str) -> Any:
        bucket = backend.get_bucket(bucket_name)
        hidden = bucket.keys.get(key_name)
        marker = original(backend, bucket_name, key_name)
        if hidden is not None:
            event = S3NotificationEvent.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT
            notifications.send_event(backend.account_id, event, bucket, hidden)
        return marker

    return set_delete_marker


def _later(original: Any) -> Any:
    """The gap: moto calls the notified Lambda inside PutObject. S3 answers first and notifies then."""

    def send_event(account_id: str, event_name: S3NotificationEvent, bucket: FakeBucket, key: Any) -> None:
        wanted = getattr(_serving, "names", None)
        if bucket.notification_configuration is None or key is None:
            return
        if wanted is not None and event_name.value not in wanted:
            return
        if hasattr(key, "etag"):
            key.etag  # noqa: B018 - worked out now: the object's bytes may be gone when the event is on its way
        sequencer = f"{next(_sequence):018X}"

        def notify() -> None:
            _serving.sequencer = sequencer
            original(account_id, event_name, bucket, key)

        deliveries.send(notify)

    return send_event


def _invoke(account_id: str, event_body: Any, fn_arn: str, region_name: str) -> None:
    """Invoke a notified Lambda as S3 does: asynchronously, so with Lambda's own retries."""
    function = get_backend(account_id, region_name).get_function(fn_arn)
    function.invoke(json.dumps(event_body), {"x-amz-invocation-type": "Event"}, {})


def _publish(account_id: str, bucket: FakeBucket, event_name: S3NotificationEvent, key: Any) -> None:
    """Send the event that S3 sends to EventBridge.

    The gap: moto's `reason` is the notification's name, the ETag is called eTag, the sequencer is constant,
    and a deletion has a size and no deletion-type.
    Source: S3 user guide, "EventBridge event message structure".
    """
    name = event_name.value
    told: dict[str, Any] = {"key": key.name}
    deleted = name.startswith("s3:ObjectRemoved")
    if not deleted:
        told["size"] = key.size
    if hasattr(key, "etag"):
        told["etag"] = key.etag.strip('"')
    if bucket.is_versioned:
        told["version-id"] = key.version_id
    told["sequencer"] = _serving.sequencer
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": told,
        "request-id": token_hex(8).upper(),
        "requester": account_id,
        "source-ip-address": "127.0.0.1",
    }
    if name in _REASONS:
        detail["reason"] = _REASONS[name]
    if deleted:
        marker = name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    events.publish(
        source="aws.s3",
        detail_type=notifications._detail_type(event_name),
        detail=detail,
        resources=[bucket.arn],
        region=bucket.region_name,
    )
