"""Requests as IAM sees them: which actions on which resources an API call needs, and what conditions may ask.

Source: Service Authorization Reference; where an API's name is not its action's, the note says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.secretsmanager.models import secretsmanager_backends

from local.authorization.calls import Facts
from local.authorization.sources import key_of
from local.identity import ACCOUNT_ID, REGION

Needed = tuple[str, str, Facts]  # action, resource, what conditions may ask
_BEDROCK_PATH = re.compile(r"/(model-import-jobs|imported-models)/(.+)$")
_MODEL_PATH = re.compile(r"/model/(.+)/(?:invoke|converse)[\w-]*$")
_BATCH = re.compile(r"Batch$")
_TAGGED = {"jobTags": "model-import-job", "importedModelTags": "imported-model"}


class UnknownRequestError(Exception):
    """Nobody has said yet which resource such a call is about: it is refused until somebody does."""


@dataclass(frozen=True)
class Asked:
    """A request: its service as it was signed for, its API's name, its path, what it says, and its headers."""

    service: str
    action: str
    path: str
    told: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def needed_by(asked: Asked) -> Iterator[Needed]:
    """Give what a request needs. Raises: UnknownRequestError."""
    resolve = _SERVICES.get(asked.service)
    if resolve is None:
        raise UnknownRequestError(f"{asked.service}:{asked.action}")
    try:
        yield from resolve(asked)
    except KeyError as exc:
        raise UnknownRequestError(f"{asked.service}:{asked.action} without {exc}") from exc


def arn(service: str, resource: str) -> str:
    """Give an ARN of this account and region; what is one already stays as it is."""
    return resource if resource.startswith("arn:") else f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def _dynamodb(asked: Asked) -> Iterator[Needed]:
    match asked.action:
        case "TransactWriteItems" | "TransactGetItems":  # no action of its own: what is in it is allowed or not
            for kind, item in (pair for each in asked.told["TransactItems"] for pair in each.items()):
                action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield f"dynamodb:{action}", _table(item["TableName"]), {}
        case "BatchGetItem" | "BatchWriteItem":
            for name in asked.told["RequestItems"]:
                yield f"dynamodb:{asked.action}", _table(name), {}
        case _:
            index = f"/index/{asked.told['IndexName']}" if "IndexName" in asked.told else ""
            yield f"dynamodb:{asked.action}", _table(asked.told["TableName"]) + index, {}


def _table(name: str) -> str:
    return name if name.startswith("arn:") else arn("dynamodb", f"table/{name}")


def _lambda(asked: Asked) -> Iterator[Needed]:
    found = re.search(r"/functions/([^/]+)", asked.path)
    if not found:
        raise UnknownRequestError(f"lambda:{asked.action}")
    action = "InvokeFunction" if asked.action in ("Invoke", "InvokeAsync") else asked.action
    name = found[1] if found[1].startswith("arn:") else arn("lambda", f"function:{found[1]}")
    yield f"lambda:{action}", name, {}


def _states(asked: Asked) -> Iterator[Needed]:
    told = asked.told
    if asked.action.startswith("SendTask"):  # a token names its task to nobody but the service
        yield f"states:{asked.action}", "*", {}
        return
    yield f"states:{asked.action}", str(told.get("executionArn") or told["stateMachineArn"]), {}


def _sqs(asked: Asked) -> Iterator[Needed]:
    action = _BATCH.sub("", asked.action)  # a batch needs what each of its entries does
    name = asked.told["QueueName"] if action == "GetQueueUrl" else asked.told["QueueUrl"].rpartition("/")[2]
    yield f"sqs:{action}", arn("sqs", name), {}


def _sns(asked: Asked) -> Iterator[Needed]:
    yield f"sns:{_BATCH.sub('', asked.action)}", asked.told.get("TopicArn") or asked.told["TargetArn"], {}


def _secret(asked: Asked) -> Iterator[Needed]:
    name = str(asked.told["SecretId"])
    known = secretsmanager_backends[ACCOUNT_ID][REGION].secrets.get(name)
    yield f"secretsmanager:{asked.action}", known.arn if known else arn("secretsmanager", f"secret:{name}"), {}


def _key(asked: Asked) -> Iterator[Needed]:
    known = key_of(asked.told["KeyId"])
    yield f"kms:{asked.action}", known.arn if known else arn("kms", f"key/{asked.told['KeyId']}"), {}


def _parameters(asked: Asked) -> Iterator[Needed]:
    names = asked.told.get("Names") or [asked.told.get("Name") or asked.told["Path"]]
    for name in names:
        yield f"ssm:{asked.action}", arn("ssm", f"parameter/{name.lstrip('/')}"), {}


def _quotas(asked: Asked) -> Iterator[Needed]:
    if "QuotaCode" not in asked.told:  # lists
        yield f"servicequotas:{asked.action}", "*", {}
        return
    quota = f"{asked.told['ServiceCode']}/{asked.told['QuotaCode']}"
    yield f"servicequotas:{asked.action}", arn("servicequotas", quota), {}


def _events(asked: Asked) -> Iterator[Needed]:
    if asked.action != "PutEvents":
        raise UnknownRequestError(f"events:{asked.action}")
    for bus in {str(entry.get("EventBusName") or "default") for entry in asked.told["Entries"]}:
        yield "events:PutEvents", arn("events", f"event-bus/{bus}"), {}


def _logs(asked: Asked) -> Iterator[Needed]:
    if asked.action == "DescribeLogGroups":
        prefix = asked.told.get("logGroupNamePrefix", "")
        yield "logs:DescribeLogGroups", arn("logs", f"log-group:{prefix}:log-stream:"), {}
        return
    stream = f":log-stream:{asked.told['logStreamName']}" if "logStreamName" in asked.told else ""
    yield f"logs:{asked.action}", arn("logs", f"log-group:{asked.told['logGroupName']}{stream}"), {}


def _metrics(asked: Asked) -> Iterator[Needed]:
    told = asked.told
    if "ResourceARN" in told:  # the tags of an alarm
        yield f"cloudwatch:{asked.action}", str(told["ResourceARN"]), _alarm_tags(str(told["ResourceARN"]))
        return
    if "Alarm" not in asked.action:
        namespace = {"cloudwatch:namespace": str(told["Namespace"])} if asked.action == "PutMetricData" else {}
        yield f"cloudwatch:{asked.action}", "*", namespace
        return
    for name in told.get("AlarmNames") or [told.get("AlarmName", "*")]:
        alarm = arn("cloudwatch", f"alarm:{name}")
        yield f"cloudwatch:{asked.action}", alarm, {**_requested_tags(told.get("Tags")), **_alarm_tags(alarm)}
        if told.get("Tags"):
            yield "cloudwatch:TagResource", alarm, _requested_tags(told["Tags"])


def _alarm_tags(alarm: str) -> dict[str, Any]:
    held = cloudwatch_backends[ACCOUNT_ID][REGION].list_tags_for_resource(alarm)
    return {f"aws:ResourceTag/{key}": value for key, value in held.items()}


def _requested_tags(tags: Any) -> dict[str, Any]:
    return _request_tags([{"key": tag["Key"], "value": tag["Value"]} for tag in tags or ()])


def _without_resource(prefix: str) -> Callable[[Asked], Iterator[Needed]]:
    def resolve(asked: Asked) -> Iterator[Needed]:
        yield f"{prefix}:{asked.action}", "*", {}

    return resolve


def _bedrock(asked: Asked) -> Iterator[Needed]:
    action = asked.action.replace("Converse", "InvokeModel").replace("ModelStream", "ModelWithResponseStream")
    if action == "CreateModelImportJob":
        yield from _import_job(asked.told)
    elif found := _MODEL_PATH.search(asked.path):
        model = found[1] if found[1].startswith("arn:") else f"arn:aws:bedrock:{REGION}::foundation-model/{found[1]}"
        yield f"bedrock:{action}", model, _resource_tags(model)
    elif found := _BEDROCK_PATH.search(asked.path):
        kind = found[1].removesuffix("s")
        resource = found[2] if found[2].startswith("arn:") else arn("bedrock", f"{kind}/{found[2]}")
        yield f"bedrock:{action}", resource, _resource_tags(resource)
    elif "resourceARN" in asked.told:
        resource = asked.told["resourceARN"]
        yield f"bedrock:{action}", resource, {**_request_tags(asked.told.get("tags")), **_resource_tags(resource)}
    else:
        yield f"bedrock:{action}", "*", {}


def _import_job(told: Mapping[str, Any]) -> Iterator[Needed]:
    """Creating a job tags it and its model, and hands Bedrock a role."""
    encrypted = {"local:model-key": str(told["importedModelKmsKeyId"])} if told.get("importedModelKmsKeyId") else {}
    yield "bedrock:CreateModelImportJob", "*", {**_request_tags(told.get("jobTags")), **encrypted}
    for key, kind in _TAGGED.items():
        if told.get(key):
            yield "bedrock:TagResource", arn("bedrock", f"{kind}/new"), _request_tags(told[key])
    yield "iam:PassRole", str(told["roleArn"]), {"iam:PassedToService": "bedrock.amazonaws.com"}


def _request_tags(tags: Any) -> dict[str, Any]:
    known = {tag["key"]: tag["value"] for tag in tags or ()}
    facts: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in known.items()}
    return facts | ({"aws:TagKeys": tuple(known)} if known else {})


def _resource_tags(resource: str) -> dict[str, Any]:
    return {f"aws:ResourceTag/{key}": value for key, value in _tags_of(resource).items()}


def tags_are_kept_by(lookup: Callable[[str], Mapping[str, str]]) -> None:
    """Let `lookup` tell what a resource of Bedrock is tagged with: whoever simulates it knows."""
    global _tags_of  # noqa: PLW0603 - one cloud runs in a process
    _tags_of = lookup


def _no_tags(_: str) -> Mapping[str, str]:
    return {}


_tags_of: Callable[[str], Mapping[str, str]] = _no_tags


def resolves(service: str, resolve: Callable[[Asked], Iterator[Needed]]) -> None:
    """Let `resolve` say what a service's requests need: whoever simulates it knows."""
    _SERVICES[service] = resolve


_SERVICES: dict[str, Callable[[Asked], Iterator[Needed]]] = {
    "bedrock": _bedrock,
    "dynamodb": _dynamodb,
    "events": _events,
    "kms": _key,
    "lambda": _lambda,
    "logs": _logs,
    "monitoring": _metrics,
    "secretsmanager": _secret,
    "servicequotas": _quotas,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _parameters,
    "states": _states,
    "xray": _without_resource("xray"),
}
