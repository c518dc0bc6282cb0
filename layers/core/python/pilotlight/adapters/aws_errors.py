"""What AWS says, in the domain's words: the one place where error codes are told apart."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from pilotlight.domain.errors import AccessDenied, PilotlightError, Terminal, Throttled, Unavailable

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "RequestThrottled",
    }
)
DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException", "403"}
)
# Another call changes the same thing at this moment: the service asks for the call to be made again.
MET_ANOTHER = frozenset({"OperationAborted", "ConditionalRequestConflict", "ConflictException"})
SERVER_FAULT = 500


def code_of(error: ClientError) -> str:
    """Return the code of an AWS error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return the message of an AWS error."""
    return str(error.response.get("Error", {}).get("Message", "")) or code_of(error)


def translate(error: ClientError, what: str) -> PilotlightError:
    """Return the domain's error for what is the same in every service: throttling, permission, conflicts, faults."""
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    told = f"{what}: {message_of(error)} ({code})"
    if code in THROTTLED:
        return Throttled(told, aws_code=code)
    if code in DENIED:
        return AccessDenied(told, aws_code=code)
    if status >= SERVER_FAULT or code in MET_ANOTHER:
        return Unavailable(told, aws_code=code)
    return Terminal(told, aws_code=code)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Run AWS calls; what they raise leaves as the domain's error, with what was being done.

    Raises: Throttled, AccessDenied, Unavailable, or Terminal for a code nobody expected here and for a request that
    the SDK refused to send: one such record must not stop a sweep.
    """
    try:
        yield
    except ClientError as exc:
        raise translate(exc, what) from exc
    except ParamValidationError as exc:  # its text holds the request: only what was being done is told
        raise Terminal(f"{what}: the request is not one that AWS takes.") from exc
    except BotoCoreError as exc:
        raise Unavailable(f"{what}: {exc}") from exc
