"""The errors of the service: with the code, the status and the members that its models give them.

They are answered by ourselves: moto knows no error that is in no model, as ValidationException is for this service.
"""

from __future__ import annotations

import json
from typing import Any


class SageMakerError(Exception):
    """An error by the name under which boto3 raises it."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members

    def answer(self) -> tuple[str, dict[str, Any]]:
        """Give what is sent, as moto takes it: JSON 1.1's type in the body, and REST's in a header."""
        headers = {"status": self.status, "Content-Type": "application/json", "x-amzn-ErrorType": self.code}
        told = {name: value for name, value in self.members.items() if value is not None}
        return json.dumps({"__type": self.code, "Message": self.message, **told}), headers


def invalid(message: str) -> SageMakerError:
    """Give a ValidationException."""
    return SageMakerError("ValidationException", message)


def not_found(kind: str, arn: str) -> SageMakerError:
    """Give what the service says of something that is not there: a ValidationException, too."""
    return invalid(f'Could not find {kind} "{arn}".')


def taken(kind: str, arn: str) -> SageMakerError:
    """Give what the service says of a name that is in use."""
    return invalid(f'Cannot create already existing {kind} "{arn}".')


def over_limit(message: str) -> SageMakerError:
    """Give a ResourceLimitExceeded."""
    return SageMakerError("ResourceLimitExceeded", message)


def throttled() -> SageMakerError:
    """Give a ThrottlingException."""
    return SageMakerError("ThrottlingException", "Rate exceeded")


def uninvokable(message: str) -> SageMakerError:
    """Give the runtime's ValidationError."""
    return SageMakerError("ValidationError", message)
