"""Which answers of AWS may be followed by another try."""

import pytest
from botocore.exceptions import ClientError
from pilotlight.adapters.aws_errors import translated
from pilotlight.domain.errors import Retryable, Terminal


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "SlowDown", Retryable),
        (500, "InternalError", Retryable),
        (409, "OperationAborted", Retryable),
        (409, "ConditionalRequestConflict", Retryable),
        (400, "ConflictException", Retryable),
        (403, "AccessDenied", Terminal),
        (400, "ValidationException", Terminal),
    ],
)
def test_what_passes_may_be_tried_again_and_nothing_else(status, code, expected):
    error = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}

    with pytest.raises(expected, match="writing a file: No"), translated("writing a file"):
        raise ClientError(error, "PutObject")
