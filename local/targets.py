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

from local.authorization import Call, Service, require
from local.authorization.sessions import Keyring, Session
from local.identity import REGION

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
        self._keyring = Keyring()
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = Lock()

    def deliver(self, target: JsonObject, payload: str, *, sender_arn: str) -> None:
        """Hand the payload over once, as the target's role or else as the service, which the target must allow.

        Raises: what the target's service answers, UnsupportedTargetError, or RefusedError for a role that does not
        trust the service.
        """
        keys = self._keys(target.get("RoleArn"), sender_arn)
        arn = str(target["Arn"])
        _, _, service, region, _, resource = arn.split(":", 5)
        match service:
            case "lambda":
                call = self._client(keys, "lambda", region)
                call.invoke(FunctionName=arn, InvocationType="Event", Payload=payload.encode())
            case "states":
                call = self._client(keys, "stepfunctions", region)
                call.start_execution(stateMachineArn=arn, name=str(uuid4()), input=payload)
            case "sqs":
                group = (target.get("SqsParameters") or {}).get("MessageGroupId")
                self._send(keys, arn, payload, {"MessageGroupId": group} if group else {})
            case "sns":
                self._client(keys, "sns", region).publish(TopicArn=arn, Message=payload)
            case "events":
                self._forward(keys, target, payload)
            case "logs":
                self._log(keys, region, resource.removeprefix("log-group:").removesuffix(":*"), payload)
            case "scheduler":
                self._call_any_service(keys, resource, payload)
            case _:
                raise UnsupportedTargetError(
                    f"{arn} is no Lambda, state machine, queue, topic, bus or log group: target one of those."
                )

    def bury(self, target: JsonObject, queue_arn: str, body: str, about: JsonObject, *, sender_arn: str) -> None:
        """Put what could not be delivered into a target's dead-letter queue, with what EventBridge says about it."""
        told = {key: {"DataType": "String", "StringValue": str(value)} for key, value in about.items() if value}
        self._send(self._keys(target.get("RoleArn"), sender_arn), queue_arn, body, {"MessageAttributes": told})

    def _send(self, keys: Session, arn: str, body: str, more: JsonObject) -> None:
        _, _, _, region, account, name = arn.split(":")
        url = f"{self._endpoint_url}/{account}/{name}"
        self._client(keys, "sqs", region).send_message(QueueUrl=url, MessageBody=body, **more)

    def _keys(self, role_arn: str | None, sender_arn: str) -> Session:
        """Give the keys of a target's role, if it has one and trusts the sender's service; else the service's own."""
        service = f"{sender_arn.split(':')[2]}.amazonaws.com"
        if not role_arn:
            return self._keyring.of_service(service, sender_arn)
        require(Call.of(Service(service, sender_arn), "sts:AssumeRole", role_arn))
        return self._keyring.of_role(role_arn, service.partition(".")[0])

    def _forward(self, keys: Session, target: JsonObject, payload: str) -> None:
        """Put an event on another bus: a rule sends it whole, a schedule sends its detail and says the rest."""
        _, _, _, region, _, bus = str(target["Arn"]).split(":", 5)
        entry: dict[str, Any] = {"EventBusName": bus.removeprefix("event-bus/")}
        if named := target.get("EventBridgeParameters"):
            entry |= {"Source": named["Source"], "DetailType": named["DetailType"], "Detail": payload}
        else:
            event = json.loads(payload)
            entry |= {"Source": event["source"], "DetailType": event["detail-type"]}
            entry |= {"Detail": json.dumps(event["detail"]), "Resources": event.get("resources", [])}
        self._client(keys, "events", region).put_events(Entries=[entry])

    def _log(self, keys: Session, region: str, group: str, message: str) -> None:
        logs = self._client(keys, "logs", region)
        stream = str(uuid4())
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time() * 1000), "message": message}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])

    def _call_any_service(self, keys: Session, resource: str, payload: str) -> None:
        _, service, action = resource.rsplit(":", 2)
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
        name = {"sfn": "stepfunctions", "eventbridge": "events"}.get(service, service)
        call: Callable[..., Any] = getattr(self._client(keys, name, REGION), method)
        call(**json.loads(payload))

    def _client(self, keys: Session, service: str, region: str) -> Any:
        credentials = keys.credentials
        key = (service, region, credentials.access_key_id)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = boto3.session.Session().client(
                    service,  # type: ignore[call-overload]
                    region_name=region or REGION,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id=credentials.access_key_id,
                    aws_secret_access_key=credentials.secret_access_key,
                    aws_session_token=credentials.session_token,
                    config=_CLIENT,
                )
            return self._clients[key]


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
