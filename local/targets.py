"""Where events and schedules go: one call per kind of target, and what the target is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from threading import Lock
from time import time
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from local.identity import HARNESS, REGION

JsonObject = Mapping[str, Any]

_STEP = re.compile(r"\.([\w-]+)|\['([^']+)'\]|\[(\d+)\]")
_PLACEHOLDER = re.compile(r"<([\w.-]+)>")
_CLIENT = Config(retries={"total_max_attempts": 1}, max_pool_connections=40)


class UnsupportedTargetError(Exception):
    """The rule or schedule names a target that the embedded cloud does not deliver to."""


class Targets:
    """Delivers a payload to a target's ARN, as EventBridge and EventBridge Scheduler do."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()

    def deliver(self, target: JsonObject, payload: str) -> None:
        """Hand the payload over once. Raises: what the target's service answers, or UnsupportedTargetError."""
        arn = str(target["Arn"])
        _, _, service, region, _, resource = arn.split(":", 5)
        match service:
            case "lambda":
                call = self._client("lambda", region)
                call.invoke(FunctionName=arn, InvocationType="Event", Payload=payload.encode())
            case "states":
                call = self._client("stepfunctions", region)
                call.start_execution(stateMachineArn=arn, name=str(uuid4()), input=payload)
            case "sqs":
                self.send_to_queue(arn, payload, group=(target.get("SqsParameters") or {}).get("MessageGroupId"))
            case "sns":
                self._client("sns", region).publish(TopicArn=arn, Message=payload)
            case "events":
                self._forward(target, payload)
            case "logs":
                self._log(region, resource.removeprefix("log-group:").removesuffix(":*"), payload)
            case "scheduler":
                self._call_any_service(resource, payload)
            case _:
                raise UnsupportedTargetError(
                    f"{arn} is no Lambda, state machine, queue, topic, bus or log group: target one of those."
                )

    def send_to_queue(
        self, arn: str, body: str, *, group: str | None = None, attributes: JsonObject | None = None
    ) -> None:
        """Put the body into a queue, with string attributes as EventBridge's dead letters have them."""
        _, _, _, region, account, name = arn.split(":")
        sqs = self._client("sqs", region)
        extra: dict[str, Any] = {"MessageGroupId": group} if group else {}
        if attributes:
            extra["MessageAttributes"] = {
                key: {"DataType": "String", "StringValue": str(value)} for key, value in attributes.items() if value
            }
        sqs.send_message(QueueUrl=f"{self._endpoint_url}/{account}/{name}", MessageBody=body, **extra)

    def _forward(self, target: JsonObject, payload: str) -> None:
        """Put an event on another bus: a rule sends it whole, a schedule sends its detail and says the rest."""
        _, _, _, region, _, bus = str(target["Arn"]).split(":", 5)
        entry: dict[str, Any] = {"EventBusName": bus.removeprefix("event-bus/")}
        if named := target.get("EventBridgeParameters"):
            entry |= {"Source": named["Source"], "DetailType": named["DetailType"], "Detail": payload}
        else:
            event = json.loads(payload)
            entry |= {"Source": event["source"], "DetailType": event["detail-type"]}
            entry |= {"Detail": json.dumps(event["detail"]), "Resources": event.get("resources", [])}
        self._client("events", region).put_events(Entries=[entry])

    def _log(self, region: str, group: str, message: str) -> None:
        logs = self._client("logs", region)
        stream = str(uuid4())
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time() * 1000), "message": message}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def _call_any_service(self, resource: str, payload: str) -> None:
        _, service, action = resource.rsplit(":", 2)
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
        name = {"sfn": "stepfunctions", "eventbridge": "events"}.get(service, service)
        call: Callable[..., Any] = getattr(self._client(name, REGION), method)
        call(**json.loads(payload))

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = boto3.session.Session().client(
                    service,  # type: ignore[call-overload]
                    region_name=region or REGION,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id=HARNESS.access_key_id,
                    aws_secret_access_key=HARNESS.secret_access_key,
                    config=_CLIENT,
                )
            return self._clients[service, region]


def target_input(target: JsonObject, event: JsonObject, *, rule_arn: str) -> str:
    """Give what the target of a rule is told: its constant, the part it asks for, its template filled, or the event."""
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {name: _at(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values["aws.events.rule-arn"] = rule_arn
    values["aws.events.rule-name"] = rule_arn.rpartition("/")[2]
    values["aws.events.event.ingestion-time"] = event.get("time")
    values["aws.events.event.json"] = event
    values["aws.events.event"] = {key: value for key, value in event.items() if key != "detail"}
    return _fill(str(transformer["InputTemplate"]), values)


def _fill(template: str, values: JsonObject) -> str:
    """Fill a template: a placeholder inside quotes becomes text, one outside becomes JSON."""

    def value_of(match: re.Match[str]) -> str:
        value = values.get(match[1])
        quoted = template.count('"', 0, match.start()) - template.count('\\"', 0, match.start())
        if quoted % 2 == 0:
            return json.dumps(value)
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        return json.dumps(text)[1:-1]

    return _PLACEHOLDER.sub(value_of, template)


def _at(event: JsonObject, path: str) -> Any:
    """Give the value at a path such as $.detail.object.key or $.resources[0]; None where there is none."""
    found: Any = event
    for name, quoted, index in _STEP.findall(path):
        try:
            found = found[int(index)] if index else found[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return found
