"""Puts the simulated catalogue into S3: a bucket that roles may be allowed to read, and one that only SageMaker reads.

AWS's own buckets are of another account. There, a role needs a permission of its own to read the first. So the bucket
here has no policy that would give it one.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.checkpoints import Checkpoint, write_checkpoint
from local.identity import REGION
from local.jumpstart.offers import EULA, EULA_KEY, MANIFEST_KEY, OFFERS

_CACHE = "jumpstart-cache-prod-"
_GATED = "jumpstart-private-cache-prod-"
_SAGEMAKER = {"Service": "sagemaker.amazonaws.com"}


@dataclass(frozen=True)
class Stock:
    """What was put, and where."""

    cache: str
    gated: str
    checkpoint: Checkpoint


def cache_bucket(region: str = REGION) -> str:
    """Give the bucket of a region's catalogue."""
    return f"{_CACHE}{region}"


def gated_bucket(region: str = REGION) -> str:
    """Give the bucket of a region's gated weights."""
    return f"{_GATED}{region}"


def is_gated(bucket: str) -> bool:
    """Say whether SageMaker reads a bucket by itself, for who accepts the terms, and nobody else reads it at all."""
    return bucket.startswith(_GATED)


def stock(s3: Any, folder: Path, *, region: str = REGION) -> Stock:
    """Put the catalogue with a model made in the folder; what is there already is put again."""
    checkpoint = write_checkpoint(folder / "small-llama", shards=2, shard_bytes=300_000)
    made = Stock(cache_bucket(region), gated_bucket(region), checkpoint)
    for bucket in (made.cache, made.gated):
        _create(s3, bucket, region)
    s3.put_bucket_policy(Bucket=made.gated, Policy=json.dumps(_read_by_sagemaker_alone(made.gated)))
    for artifact, gated in sorted({(offer.artifact, offer.gated) for offer in OFFERS}):
        _put_weights(s3, made.gated if gated else made.cache, artifact, checkpoint)
    s3.put_object(Bucket=made.cache, Key=EULA_KEY, Body=EULA.encode(), ContentType="text/plain")
    for offer in OFFERS:
        _put_json(s3, made.cache, offer.spec_key, offer.spec(region))
    _put_json(s3, made.cache, MANIFEST_KEY, [offer.entry for offer in OFFERS])
    return made


def _create(s3: Any, bucket: str, region: str) -> None:
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=bucket, **where)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return


def _read_by_sagemaker_alone(bucket: str) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{bucket}"
    about = {"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [arn, f"{arn}/*"]}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "NobodyElse", "Effect": "Deny", "NotPrincipal": _SAGEMAKER, **about},
            {"Sid": "ForWhoAcceptsTheTerms", "Effect": "Allow", "Principal": _SAGEMAKER, **about},
        ],
    }


def _put_weights(s3: Any, bucket: str, artifact: str, checkpoint: Checkpoint) -> None:
    if not artifact.endswith("/"):
        s3.put_object(Bucket=bucket, Key=artifact, Body=_archive(checkpoint))
        return
    for name in checkpoint.files:
        s3.put_object(Bucket=bucket, Key=f"{artifact}{name}", Body=(checkpoint.folder / name).read_bytes())


def _archive(checkpoint: Checkpoint) -> bytes:
    """Give the checkpoint as a model.tar.gz, its files at the root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name in checkpoint.files:
            archive.add(checkpoint.folder / name, arcname=name)
    return packed.getvalue()


def _put_json(s3: Any, bucket: str, key: str, document: Any) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document, indent=1), ContentType="application/json")
