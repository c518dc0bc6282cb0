"""Asynchronous invocations: retried twice, then handed to the destination or the dead-letter queue.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local.authorization import Role, may
from local.clock import ScaledClock
from local.delivery import Deliveries
from local.worker_pool import ThrottledError
from local.workers import Outcome

_RETRY_WAITS_SECONDS = (60, 120)
_MAX_AGE_SECONDS = 6 * 3600
_LONGEST_THROTTLE_WAIT_SECONDS = 300

_NEEDED = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
}

Run = Callable[[Any, bytes], Outcome]


@dataclass(frozen=True)
class _Rules:
    """What a function's EventInvokeConfig and DeadLetterConfig ask for."""

    retries: int
    max_age_seconds: int
    on_success: str | None
    on_failure: str | None
    dead_letters: str | None

    @classmethod
    def of(cls, function: Any) -> _Rules:
        config = function.event_invoke_config[-1].config if function.event_invoke_config else {}
        destinations = config.get("DestinationConfig") or {}
        return cls(
            retries=config.get("MaximumRetryAttempts", len(_RETRY_WAITS_SECONDS)),
            max_age_seconds=config.get("MaximumEventAgeInSeconds", _MAX_AGE_SECONDS),
            on_success=(destinations.get("OnSuccess") or {}).get("Destination"),
            on_failure=(destinations.get("OnFailure") or {}).get("Destination"),
            dead_letters=(getattr(function, "dead_letter_config", None) or {}).get("TargetArn"),
        )


@dataclass(frozen=True)
class _Event:
    """One accepted event and how far it came."""

    function: Any
    payload: bytes
    request_id: str
    attempts: int = 0
    outcome: Outcome | None = None


class EventInvocations:
    """Takes events at once and sees each of them to its end."""

    def __init__(self, clock: ScaledClock, run: Run, client: Callable[[str], Any]) -> None:
        self._clock = clock
        self._run = run
        self._client = client
        self._deliveries = Deliveries()

    def accept(self, function: Any, payload: bytes) -> None:
        """Return at once; the function runs soon."""
        event = _Event(function, payload, str(uuid.uuid4()))
        self._deliveries.send(lambda: self._see_through(event))

    def close(self) -> None:
        """Drop what waits for a retry and end."""
        self._deliveries.close()

    def _see_through(self, event: _Event) -> None:
        rules = _Rules.of(event.function)
        deadline = self._clock.timestamp() + rules.max_age_seconds
        waits = iter(_RETRY_WAITS_SECONDS[: rules.retries])
        for attempt in range(1, rules.retries + 2):
            outcome = self._run_unthrottled(event, deadline)
            if outcome is None:
                return self._give_up(event, rules, "EventAgeExceeded")
            event = _Event(event.function, event.payload, event.request_id, attempt, outcome)
            if not outcome.failed:
                return self._tell(rules.on_success, event, "Success")
            if attempt <= rules.retries and self._pause(next(waits)):
                return None
        return self._give_up(event, rules, "RetriesExhausted")

    def _run_unthrottled(self, event: _Event, deadline: float) -> Outcome | None:
        """Give the outcome once there is room for the event; None when it grew too old waiting.

        A throttled attempt is none: the real queue keeps the event, too, and backs off.
        """
        for wait in _backoff():
            try:
                return self._run(event.function, event.payload)
            except ThrottledError:
                if self._clock.timestamp() + wait > deadline or self._pause(wait):
                    return None
        return None

    def _pause(self, simulated_seconds: float) -> bool:
        return self._deliveries.pause(self._clock.wall_seconds(simulated_seconds))

    def _give_up(self, event: _Event, rules: _Rules, condition: str) -> None:
        self._tell(rules.on_failure, event, condition)
        if rules.dead_letters:
            self._send(_role(event), rules.dead_letters, event.payload.decode(), _dead_letter_attributes(event))

    def _tell(self, destination: str | None, event: _Event, condition: str) -> None:
        if destination:
            record = _record(event, condition, self._clock.now().isoformat(timespec="milliseconds"))
            self._send(_role(event), destination, json.dumps(record), {})

    def _send(self, role: Role, arn: str, body: str, attributes: dict[str, Any]) -> None:
        """Send as the function's role; what it may not send is lost, and the refusal logged."""
        service = arn.split(":")[2]
        if service in _NEEDED and not may(role, _NEEDED[service], arn):
            return
        match service:
            case "sqs":
                queue = self._client("sqs").get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"]
                self._client("sqs").send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes)
            case "sns":
                self._client("sns").publish(TopicArn=arn, Message=body, MessageAttributes=attributes)
            case "lambda":
                self._client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=body)["Payload"].close()
            case "events":
                self._put_event(arn, body)
            case service:
                raise ValueError(f"Lambda cannot send failed events to {arn}: {service} is no destination.")

    def _put_event(self, bus: str, body: str) -> None:
        condition = json.loads(body)["requestContext"]["condition"]
        result = "Success" if condition == "Success" else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {result}",
            "Detail": body,
            "EventBusName": bus,
        }
        self._client("events").put_events(Entries=[entry])


def _role(event: _Event) -> Role:
    return Role(event.function.role, event.function.function_name)


def _backoff() -> Iterator[float]:
    wait = 1.0
    while True:
        yield wait
        wait = min(wait * 2, _LONGEST_THROTTLE_WAIT_SECONDS)


def _dead_letter_attributes(event: _Event) -> dict[str, Any]:
    document = _parsed(event.outcome.payload) if event.outcome else {}
    message = document.get("errorMessage", "") if isinstance(document, dict) else ""
    values = {"RequestID": event.request_id, "ErrorCode": "200", "ErrorMessage": str(message)[:1024] or "-"}
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _record(event: _Event, condition: str, timestamp: str) -> dict[str, Any]:
    """Give the invocation record that destinations receive."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": timestamp,
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{event.function.function_arn}:{event.function.version}",
            "condition": condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": _parsed(event.payload),
    }
    if event.outcome is not None:
        failed = {"functionError": "Unhandled"} if event.outcome.failed else {}
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": str(event.function.version),
            **failed,
        }
        record["responsePayload"] = _parsed(event.outcome.payload)
    return record


def _parsed(payload: bytes) -> Any:
    return json.loads(payload or b"null")
