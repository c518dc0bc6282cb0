"""Executions of our state machines in Step Functions."""

import json
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.orphans import FoundExecution

GONE = frozenset({"ExecutionDoesNotExist", "InvalidArn"})


class StepFunctionsExecutions:
    """Implements `ports.Executions`. A machine's ARN is the stack's prefix and its name."""

    def __init__(self, client: Any, state_machine_arn_prefix: str) -> None:
        self._client = client
        self._prefix = state_machine_arn_prefix

    def start(self, machine: str, name: str, work: dict[str, Any]) -> bool:
        """Start an execution; False where one of that name is there already, which is a success."""
        with translated(f"starting execution {name} of {machine}"):
            try:
                self._client.start_execution(
                    stateMachineArn=self._machine_arn(machine), name=name, input=json.dumps(work, sort_keys=True)
                )
            except ClientError as exc:
                if code_of(exc) != "ExecutionAlreadyExists":
                    raise
                return False
        return True

    def is_running(self, machine: str, name: str) -> bool:
        """Say whether an execution of that name is under way."""
        with translated(f"reading execution {name} of {machine}"):
            try:
                execution = self._client.describe_execution(executionArn=self._execution_arn(machine, name))
            except ClientError as exc:
                if code_of(exc) in GONE:
                    return False
                raise
        return bool(execution["status"] == "RUNNING")

    def running(self, machine: str) -> list[FoundExecution]:
        """Return every execution of a machine that is under way; children of a Map are told by their Map."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._machine_arn(machine), statusFilter="RUNNING"
        )
        with translated(f"listing the executions of {machine}"):
            return [
                FoundExecution(machine=machine, name=each["name"], started_at=each["startDate"])
                for page in pages
                for each in page["executions"]
                if "mapRunArn" not in each
            ]

    def stop(self, machine: str, name: str, reason: str) -> None:
        """Stop an execution; one already over or unknown is a success."""
        if not self.is_running(machine, name):
            return
        with translated(f"stopping execution {name} of {machine}"):
            try:
                self._client.stop_execution(
                    executionArn=self._execution_arn(machine, name), error="Superseded", cause=reason
                )
            except ClientError as exc:
                if code_of(exc) not in GONE:
                    raise

    def _machine_arn(self, machine: str) -> str:
        return f"{self._prefix}{machine.replace('_', '-')}"

    def _execution_arn(self, machine: str, name: str) -> str:
        return f"{self._machine_arn(machine).replace(':stateMachine:', ':execution:')}:{name}"
