"""The event bus: what matches a rule reaches the rule's targets, after the sender has been answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError
from moto.events.models import EventsBackend, Rule, events_backends

from local.authorization import RefusedError
from local.clock import ScaledClock
from local.delivery import deliveries
from local.identity import ACCOUNT_ID, REGION
from local.seams import replace
from local.targets import Targets, UnsupportedTargetError, target_input

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.1
_WORTH_ANOTHER_TRY = {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "InternalFailure"}
_running: list[EventBus] = []


def publish(
    *, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = (), region: str = REGION
) -> None:
    """Send an AWS service's own event to the account's default bus; without a running bus it goes nowhere."""
    for bus in _running:
        bus.publish(source=source, detail_type=detail_type, detail=detail, resources=resources, region=region)


def iso_time(at: datetime | float | str) -> str:
    """Give a time as EventBridge writes it: seconds and a Z."""
    if isinstance(at, str):
        return at
    moment = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else at.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class EventBus:
    """Delivers to Lambda, Step Functions, SQS, SNS, buses and log groups; retries, then the target's dead-letter queue.

    The gap: moto delivers inside PutEvents, raises for Lambda, state machine and topic targets, ignores a rule's
    state, Input and InputPath, writes the time as a number, and knows neither retries nor dead letters.
    """

    endpoint_url: str
    clock: ScaledClock
    _targets: Targets = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._targets = Targets(self.endpoint_url)

    def start(self) -> None:
        """Take over moto's delivery."""
        deliveries.open()
        _running[:] = [self]
        replace(Rule, "send_to_targets", lambda _: _send_to_targets)
        replace(EventsBackend, "put_events", self._stamped)

    def stop(self) -> None:
        """Deliver nothing more, and return when what was on its way has arrived or given up."""
        if self in _running:
            _running.remove(self)
            deliveries.close()

    def publish(
        self, *, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str], region: str
    ) -> None:
        """Offer an event to every rule of the default bus."""
        event = self.event(source=source, detail_type=detail_type, detail=detail, resources=resources, region=region)
        for rule in list(events_backends[ACCOUNT_ID][region].event_buses["default"].rules.values()):
            if _wants(rule, event):
                self.send(rule, event)

    def event(
        self, *, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str], region: str
    ) -> dict[str, Any]:
        """Give an event in EventBridge's envelope, stamped with the simulated time."""
        return {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": iso_time(self.clock.now()),
            "region": region,
            "resources": list(resources),
            "detail": dict(detail),
        }

    def send(self, rule: Rule, event: Mapping[str, Any]) -> None:
        """Send an event to each target of a rule, whether or not its pattern matches."""
        for target in list(rule.targets):
            self.deliver(target, target_input(target, event, rule_arn=rule.arn), sender_arn=rule.arn)

    def deliver(self, target: Mapping[str, Any], payload: str, *, sender_arn: str) -> None:
        """Bring a payload to a target, some time soon."""
        deliveries.send(lambda: self._deliver(dict(target), payload, sender_arn))

    def _deliver(self, target: dict[str, Any], payload: str, sender_arn: str) -> None:
        allowed = (target.get("RetryPolicy") or {}).get("MaximumRetryAttempts", _ATTEMPTS - 1)
        error: Exception | None = None
        for attempt in range(1 + min(int(allowed), _ATTEMPTS - 1)):
            if attempt and deliveries.pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)):
                return
            try:
                self._targets.deliver(target, payload, sender_arn=sender_arn)
            except (ClientError, BotoCoreError, RefusedError, UnsupportedTargetError) as exc:
                error = exc
                if not _may_pass(exc):
                    break
            else:
                return
        self._bury(target, payload, sender_arn, error)

    def _bury(self, target: dict[str, Any], payload: str, sender_arn: str, error: Exception | None) -> None:
        """Put an undeliverable payload into the target's dead-letter queue, or lose it as EventBridge does."""
        _LOG.warning("Not delivered from %s to %s: %s", sender_arn, target["Arn"], error)
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        about = {
            "RULE_ARN": sender_arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": str(error)[:1024],
        }
        try:
            self._targets.bury(target, queue, payload, about, sender_arn=sender_arn)
        except (ClientError, RefusedError) as exc:
            _LOG.warning("Lost, as the dead-letter queue does not take it: %s", exc)

    def _stamped(self, original: Any) -> Any:
        """PutEvents without a Time gets the simulated one; moto takes the wall's."""
        clock = self.clock

        def put_events(backend: EventsBackend, events: list[dict[str, Any]]) -> Any:
            return original(backend, [{"Time": clock.timestamp(), **event} for event in events])

        return put_events


def _wants(rule: Rule, event: Mapping[str, Any]) -> bool:
    """Give whether an enabled rule with a pattern matches; a rule with only a schedule matches no event."""
    pattern = rule.event_pattern
    return bool(rule.state == "ENABLED" and pattern.get_pattern() and pattern.matches_event(event))


def _send_to_targets(rule: Rule, original_event: Mapping[str, Any], transform_input: bool = True) -> None:  # noqa: ARG001
    """Stand in for moto's Rule.send_to_targets, which PutEvents calls for every rule of the bus."""
    if not _wants(rule, original_event):
        return
    event = {key: value for key, value in original_event.items() if key != "ingestion-time"}
    event["time"] = iso_time(event["time"])
    event = json.loads(json.dumps(event))
    for bus in _running:
        bus.send(rule, event)


def _may_pass(error: Exception) -> bool:
    """Give whether a later attempt can succeed: EventBridge does not retry a missing or forbidding target."""
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 500)
        return status >= 500 or error.response["Error"]["Code"] in _WORTH_ANOTHER_TRY
    return isinstance(error, BotoCoreError)
