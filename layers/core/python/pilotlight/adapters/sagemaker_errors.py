"""What SageMaker says, in the domain's words.

SageMaker calls nearly everything a ValidationException, and only its text tells a thing that exists already from one
that does not, and what changes just now from what is wrong.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from pilotlight.adapters.aws_errors import code_of, message_of, translate
from pilotlight.domain.errors import (
    ConcurrentChange,
    Conflict,
    InvalidInput,
    NotFound,
    PilotlightError,
    QuotaExceeded,
    Terminal,
    Unavailable,
)

VALIDATION = frozenset({"ValidationException", "ValidationError"})
LIMITS = frozenset({"ResourceLimitExceeded", "LimitExceededException"})
ABSENT = frozenset({"ResourceNotFound", "ResourceNotFoundException", "ObjectNotFoundException"})
IN_USE = frozenset({"ResourceInUse", "ConflictException", "ConcurrentUpdateException", "FailedResourceAccessException"})


def is_absent(error: ClientError) -> bool:
    """Say whether an error means that what was asked for does not exist."""
    text = message_of(error).lower()
    return code_of(error) in ABSENT or (
        code_of(error) in VALIDATION and ("could not find" in text or "does not exist" in text)
    )


def judged(error: ClientError, what: str) -> PilotlightError:
    """Return the domain's error for what SageMaker, or what scales it, refused."""
    code, text = code_of(error), message_of(error)
    told, lower = f"{what}: {text}", text.lower()
    if code in LIMITS:
        return QuotaExceeded(f"{told} Ask for more in Service Quotas, or name another instance type.", aws_code=code)
    if code in VALIDATION and "already exist" in lower:
        return Conflict(told, aws_code=code)
    if code in IN_USE or (code in VALIDATION and _is_busy(lower)):
        return ConcurrentChange(told, aws_code=code)
    if is_absent(error):
        return NotFound(told, aws_code=code)
    if code in VALIDATION and ("role" in lower and ("assume" in lower or "invalid" in lower)):
        # a role made a moment ago is not known everywhere yet: worth another try
        return Unavailable(f"{told} A fresh role takes some seconds to be known.", aws_code=code)
    if code in VALIDATION:
        return InvalidInput(told, aws_code=code, field="endpoint", rule="SageMaker's own")
    return translate(error, what)


def _is_busy(text: str) -> bool:
    return "in-progress" in text or "in progress" in text or ("cannot" in text and "updating" in text)


@contextmanager
def sagemaker_errors(what: str) -> Iterator[None]:
    """Run calls of SageMaker; what they raise leaves as the domain's error.

    Raises: Conflict for what exists already, ConcurrentChange for what changes just now, QuotaExceeded, NotFound,
    InvalidInput, AccessDenied, Throttled, Unavailable.
    """
    try:
        yield
    except ClientError as exc:
        raise judged(exc, what) from exc
    except ParamValidationError as exc:
        raise Terminal(f"{what}: the request is not one that AWS takes.") from exc
    except BotoCoreError as exc:
        raise Unavailable(f"{what}: {exc}") from exc
