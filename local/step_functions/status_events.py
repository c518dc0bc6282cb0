"""The event by which Step Functions tells that an execution began or ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local import events
from local.step_functions.interpreter import Execution

_LARGEST_TEXT_BYTES = 248 * 1024


def tell(execution: Execution, status: Any) -> None:
    """Send "Step Functions Execution Status Change"; an Express execution has none. moto sends none at all.

    Source: Step Functions developer guide, "Event delivery": texts above 248 KiB are left out.
    """
    if execution.state_machine.type == "EXPRESS":
        return
    ended = status.value != "RUNNING"
    told, told_details = _text(execution.execution_input)
    output, output_details = _text(execution.output if ended else None)
    events.publish(
        source="aws.states",
        detail_type="Step Functions Execution Status Change",
        resources=[execution.exec_arn],
        region=execution.region_name,
        detail={
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "stateMachineVersionArn": None,
            "stateMachineAliasArn": None,
            "name": execution.name,
            "status": status.value,
            "startDate": _millis(execution.start_date),
            "stopDate": _millis(execution.stop_date) if ended else None,
            "input": told,
            "inputDetails": told_details,
            "output": output,
            "outputDetails": output_details,
            "error": execution.error if ended else None,
            "cause": execution.cause if ended else None,
            "redriveCount": 0,
            "redriveDate": None,
            "redriveStatus": "NOT_REDRIVABLE",
            "redriveStatusReason": None,
        },
    )


def _text(text: str | None) -> tuple[str | None, dict[str, bool] | None]:
    if text is None:
        return None, None
    included = len(text.encode()) <= _LARGEST_TEXT_BYTES
    return (text if included else None), {"included": included}


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
