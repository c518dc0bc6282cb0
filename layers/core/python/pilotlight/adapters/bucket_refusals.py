"""What S3's refusal to read or to copy from a bucket means for us, and what the person can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from pilotlight.adapters.aws_errors import MET_ANOTHER, SERVER_FAULT, code_of, message_of
from pilotlight.domain.errors import (
    PilotlightError,
    SourceChanged,
    SourceGated,
    SourceNotFound,
    SourceRefused,
    Throttled,
    Unavailable,
)

_MISSING = frozenset({"NoSuchBucket", "NoSuchKey", "404", "InvalidBucketName"})
_DENIED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"})
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
_SLOW_DOWN = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "429"})
_ARCHIVED = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_KEY_REFUSED = "KMS."  # KMS.DisabledException, KMS.NotFoundException, ... Source: Amazon S3 API reference, error codes
_OWN_KEY = "stored using a form of Server Side Encryption"  # SSE-C: S3 tells it in words alone


@contextmanager
def translated_refusal(location: str) -> Iterator[None]:
    """Run calls that read `bucket/prefix` or `bucket/key`; what they raise leaves as the domain's error.

    Raises: SourceChanged, SourceNotFound, SourceGated, SourceRefused, Throttled, Unavailable.
    """
    try:
        yield
    except ClientError as exc:
        raise _refusal(exc, f"s3://{location}") from exc
    except BotoCoreError as exc:
        raise Unavailable(f"S3 did not answer for s3://{location}: {type(exc).__name__}. Try again later.") from exc


def _refusal(error: ClientError, where: str) -> PilotlightError:  # noqa: PLR0911 - one line for each way to refuse
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _CHANGED:
        return SourceChanged(f"A file of {where} has been replaced since it was listed. Deploy it again.")
    if code in _MISSING:
        return SourceNotFound(f"There is no {where}, or a file of it is gone. Check the bucket, prefix and region.")
    if code in _DENIED:
        return SourceGated(
            f"Our role may not read {where}. Deploy the stack with a parameter SourceBuckets that names the bucket; a "
            "bucket of another account, or one with a key of its own, must allow it, too (s3:ListBucket, s3:GetObject, "
            "kms:Decrypt)."
        )
    if code.startswith(_KEY_REFUSED):
        return SourceGated(
            f"The key that {where} is encrypted with cannot be used ({code}: {message_of(error)}). Enable it, and let "
            "our role use it (kms:Decrypt, in the bucket's region)."
        )
    if code in _ARCHIVED:
        return SourceRefused(f"A file of {where} is archived. Restore it from Glacier first.")
    if _OWN_KEY in message_of(error):
        return SourceRefused(
            f"{where} is encrypted with a key that only its owner sends along (SSE-C). Copy it to a bucket with SSE-S3 "
            "or SSE-KMS first."
        )
    if code in _SLOW_DOWN:
        return Throttled(f"S3 asks us to slow down for {where}.")
    if status >= SERVER_FAULT or code in MET_ANOTHER:
        return Unavailable(f"S3 answered {code or status} for {where}. Try again later.")
    return SourceRefused(f"S3 answered {code or status} for {where}: {message_of(error)}")
