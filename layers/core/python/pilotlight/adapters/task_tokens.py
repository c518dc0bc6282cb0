"""Tasks of Step Functions that wait for their token."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.errors import PilotlightError, Retryable, Terminal

OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
LONGEST_CAUSE = 32_768  # Source: AWS Step Functions API reference, SendTaskFailure
LONGEST_MESSAGE = 2_000  # of one that is too long: as JSON within JSON a character may become thirteen


class StepFunctionsTokens:
    """Implements `ports.TaskTokens`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """End a task well; one that waits no more is a success."""
        self._send("ending a task well", self._client.send_task_success, taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: PilotlightError) -> None:
        """End a task with an error, told as a task's own would be; one that waits no more is a success."""
        name = Retryable.__name__ if isinstance(error, Retryable) else Terminal.__name__
        send = self._client.send_task_failure
        self._send("ending a task with an error", send, taskToken=token, error=name, cause=_cause(name, error))

    @staticmethod
    def _send(what: str, call: Any, **told: str) -> None:
        with translated(what):
            try:
                call(**told)
            except ClientError as exc:
                if code_of(exc) not in OVER:
                    raise


def _cause(name: str, error: PilotlightError) -> str:
    """Return an error as Lambda wraps one that a task raises; without its detail where that is too long."""
    cause = json.dumps({"errorType": name, "errorMessage": error.to_message()})
    if len(cause) <= LONGEST_CAUSE:
        return cause
    shortened = json.dumps({"code": error.code, "message": error.message[:LONGEST_MESSAGE], "detail": {}})
    return json.dumps({"errorType": name, "errorMessage": shortened})
