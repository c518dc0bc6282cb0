"""Copiers that are Python: each is set up, says so, and copies one file from the hub into S3 when it is told to.

    python -m bench.workers ours|requests+boto3 HUB_URL S3_URL BYTES

A Lambda is there before its span comes: what is measured begins with the word. `ours` is the product's own copier,
wired as it is deployed; only its records, which are DynamoDB's, are kept in this process.
"""

import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

COMMIT = "0" * 40
MIB = 1024 * 1024


class Records:
    """Records of one artifact that is being staged."""

    def get(self, artifact_id: str) -> Any:
        """Return it, at work."""
        from pilotlight.domain.artifact import Artifact

        now = datetime.now(UTC)
        return Artifact(id=artifact_id, source="hf://bench/model", revision=COMMIT, created_at=now, updated_at=now)

    def mark_span(self, artifact_id: str, attempt: int, number: int, size_bytes: int) -> None:
        """Keep nothing."""

    def note_trouble(self, artifact_id: str, attempt: int, code: str, reason: str) -> None:
        """Keep nothing."""


def ours(hub_url: str, _s3_url: str, size_bytes: int) -> Callable[[], object]:
    """Return the copying of one span: a whole file in parts of the default size."""
    from pilotlight.contracts import SpanTask
    from pilotlight.domain.source import Source, SourceFile, SourceKind
    from pilotlight.domain.spans import Span, in_parts
    from pilotlight.runtime import Runtime
    from pilotlight.settings import Settings

    settings = Settings.from_environment({**os.environ, "HF_ENDPOINT": hub_url, "ARTIFACT_BUCKET": "artifacts"})
    runtime = Runtime(settings)
    runtime.__dict__["artifacts"] = Records()
    copying = runtime.span_copying
    run = in_parts(SourceFile(path="model.safetensors", size_bytes=size_bytes), "u", settings.span_limits.part_bytes)
    source = Source(kind=SourceKind.HUB, location="bench/model", revision=COMMIT)
    span = Span(number=0, runs=(run,))
    task = SpanTask(artifact_id="a0", attempt=1, correlation_id="bench", source=source, span=span)
    return lambda: copying.copy(task)


def requests_and_boto3(hub_url: str, s3_url: str, size_bytes: int) -> Callable[[], object]:
    """Return what one writes first: parts of 32 MiB, eight at once, each downloaded and then uploaded."""
    import boto3
    import requests

    part_bytes, at_once = 32 * MIB, 8
    client: Any = boto3.client("s3", endpoint_url=s3_url)
    upload = client.create_multipart_upload(Bucket="artifacts", Key="k")["UploadId"]
    sessions = threading.local()

    def copy(number: int) -> dict[str, Any]:
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
        first = number * part_bytes
        last = min(first + part_bytes, size_bytes) - 1
        got = sessions.session.get(f"{hub_url}/f", headers={"Range": f"bytes={first}-{last}"}, timeout=60)
        where = {"Bucket": "artifacts", "Key": "k", "UploadId": upload, "PartNumber": number + 1}
        return {"PartNumber": number + 1, "ETag": client.upload_part(**where, Body=got.content)["ETag"]}

    def go() -> None:
        with ThreadPoolExecutor(at_once) as pool:
            parts = list(pool.map(copy, range(-(-size_bytes // part_bytes))))
        client.complete_multipart_upload(Bucket="artifacts", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})

    return go


def cpu_seconds() -> float:
    """Return the CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_mib(field: str) -> float:
    """Return `VmRSS`, what is resident, or `VmHWM`, the most that ever was."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(f"{field}:"))


def main() -> None:
    """Set up, wait for a line, copy, and say as JSON what it took."""
    name, hub_url, s3_url, size = sys.argv[1:]
    go = {"ours": ours, "requests+boto3": requests_and_boto3}[name](hub_url, s3_url, int(size))
    idle = memory_mib("VmRSS")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began, used = perf_counter(), cpu_seconds()
    go()
    took = {"seconds": perf_counter() - began, "cpu_seconds": cpu_seconds() - used}
    sys.stdout.write(json.dumps({**took, "peak_mib": memory_mib("VmHWM"), "idle_mib": idle}) + "\n")


if __name__ == "__main__":
    main()
