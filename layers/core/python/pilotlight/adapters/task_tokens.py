"""Tasks of Step Functions that wait for their token."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated

OVER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
LONGEST_CAUSE = 32_768  # Source: AWS Step Functions API reference, SendTaskFailure


class StepFunctionsTokens:
    """Implements `ports.TaskTokens`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """End a task well; one that waits no more is a success."""
        self._send("ending a task well", self._client.send_task_success, taskToken=token, output=json.dumps(output))

    def fail(self, token: str, error: str, cause: str) -> None:
        """End a task with an error; one that waits no more is a success."""
        send = self._client.send_task_failure
        self._send("ending a task with an error", send, taskToken=token, error=error, cause=cause[:LONGEST_CAUSE])

    @staticmethod
    def _send(what: str, call: Any, **told: str) -> None:
        with translated(what):
            try:
                call(**told)
            except ClientError as exc:
                if code_of(exc) not in OVER:
                    raise
