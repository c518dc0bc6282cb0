"""What protects what the stack keeps: keys, closed buckets, TLS, logs that end and hold no prompt."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.architecture.template_rules import Template
from tools.cloudformation import of_type

KEY = {"Fn::If": ["MakesKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KmsKeyArn"}]}
BY_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
CLOSED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}
OLD_TLS = {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
SSE = "s3:x-amz-server-side-encryption"
# An absent key differs from ours, too: that refuses S3's own encryption, and KMS with AWS's key.
OTHER_KEY = {"Null": {SSE: "false"}, "StringNotEquals": {f"{SSE}-aws-kms-key-id": KEY}}
# What an access log may hold; a query or a path as it was asked for could hold anything.
TOLD = {"requestId", "requestTime", "identity.userArn", "httpMethod", "resourcePath", "status"}
TOLD |= {"responseLatency", "responseLength"}


def encrypts_all_that_it_keeps(template: Template) -> Iterator[str]:
    paths: Mapping[str, tuple[str, ...]] = {
        "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
        "AWS::SQS::Queue": ("KmsMasterKeyId",),
        "AWS::SNS::Topic": ("KmsMasterKeyId",),
        "AWS::Logs::LogGroup": ("KmsKeyId",),
        "AWS::SecretsManager::Secret": ("KmsKeyId",),
    }
    for kind, path in paths.items():
        for name, own in of_type(template.data, kind).items():
            if _at(own, *path) != KEY:
                yield f"{name} is not encrypted with the stack's key."
    for name, own in of_type(template.data, "AWS::S3::Bucket").items():
        for rule in _at(own, "BucketEncryption", "ServerSideEncryptionConfiguration") or [{}]:
            if _at(rule, "ServerSideEncryptionByDefault", "KMSMasterKeyID") != KEY:
                yield f"{name} is not encrypted with the stack's key."
            if not rule.get("BucketKeyEnabled"):
                yield f"{name} would ask KMS for every object: BucketKeyEnabled."


def passes_its_key_on(template: Template) -> Iterator[str]:
    variables = template.data["Globals"]["Function"]["Environment"]["Variables"]
    if variables.get("KMS_KEY_ARN") != KEY:
        yield "Functions do not know the key that models and endpoints are to be encrypted with."


def makes_a_key_that_turns_and_stays(template: Template) -> Iterator[str]:
    for name, resource in template.data["Resources"].items():
        if resource["Type"] != "AWS::KMS::Key":
            continue
        if not resource["Properties"].get("EnableKeyRotation"):
            yield f"{name} is never rotated."
        if resource.get("DeletionPolicy") != "RetainExceptOnCreate":
            yield f"{name} goes with the stack, and what is kept could never be read again."
        for statement in resource["Properties"]["KeyPolicy"]["Statement"]:
            yield from _wide(name, statement)
        known = json.dumps(resource["Properties"]["KeyPolicy"])
        for group, own in of_type(template.data, "AWS::Logs::LogGroup").items():
            if f"log-group:{own['LogGroupName']['Fn::Sub']}" not in known:
                yield f"{name} may not be used for {group}."
        for service in ("cloudwatch.amazonaws.com", "events.amazonaws.com"):
            if service not in known:
                yield f"{name} may not be used by {service}: what it tells would be lost."


def _wide(name: str, statement: Mapping[str, Any]) -> Iterator[str]:
    if statement["Principal"] == "*" or statement["Principal"].get("AWS") == "*":
        yield f"{name}: everybody may use it."
    condition = statement.get("Condition")
    if "Service" in statement["Principal"] and condition != BY_ACCOUNT and "ArnEquals" not in (condition or {}):
        yield f"{name}: a service may use it for other accounts."


def closes_every_bucket(template: Template) -> Iterator[str]:
    policies = of_type(template.data, "AWS::S3::BucketPolicy").values()
    for name, own in of_type(template.data, "AWS::S3::Bucket").items():
        if own.get("PublicAccessBlockConfiguration") != CLOSED:
            yield f"{name} is not closed to the public."
        statements = [
            each
            for policy in policies
            if policy["Bucket"] == {"Ref": name}
            for each in _denied(policy["PolicyDocument"])
        ]
        for what, condition in {
            "calls without TLS": NO_TLS,
            "calls over an old TLS": OLD_TLS,
            "another encryption": OTHER_KEY,
        }.items():
            if condition not in statements:
                yield f"{name} takes {what}."


def keeps_queues_and_topics_to_tls(template: Template) -> Iterator[str]:
    for kind, policy_kind, listed in (
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics"),
    ):
        policies = of_type(template.data, policy_kind).values()
        for name in of_type(template.data, kind):
            mine = [own["PolicyDocument"] for own in policies if {"Ref": name} in own[listed]]
            if not any(NO_TLS in _denied(document) for document in mine):
                yield f"{name} takes calls without TLS."


def lets_alarms_tell(template: Template) -> Iterator[str]:
    """A topic with a policy of its own has none of the defaults, which let the account's alarms in."""
    alarms = of_type(template.data, "AWS::CloudWatch::Alarm").values()
    told = [action for own in alarms for action in own.get("AlarmActions", [])]
    for name, own in of_type(template.data, "AWS::SNS::TopicPolicy").items():
        allowed = [each for each in own["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
        is_told = any(topic in told for topic in own["Topics"])
        if is_told and {"Service": "cloudwatch.amazonaws.com"} not in [each["Principal"] for each in allowed]:
            yield f"{name} lets no alarm publish."
        if any(each.get("Condition") != BY_ACCOUNT for each in allowed):
            yield f"{name} lets in whoever is not of this account."


def logs_neither_inputs_nor_queries(template: Template) -> Iterator[str]:
    for name, own in of_type(template.data, "AWS::Serverless::StateMachine").items():
        logging = own.get("Logging") or {}
        if logging.get("Level") != "ERROR" or not logging.get("Destinations"):
            yield f"{name} does not log its errors to a group of the template."
        if logging.get("IncludeExecutionData") is not False:
            yield f"{name} logs what executions are given."
    for name, own in of_type(template.data, "AWS::Serverless::Api").items():
        settings = own.get("AccessLogSetting") or {}
        told = {word.split('"')[0] for word in str(settings.get("Format", "")).split("$context.")[1:]}
        if not settings.get("DestinationArn") or not told:
            yield f"{name} keeps no access log."
        if told - TOLD:
            yield f"{name} logs {', '.join(sorted(told - TOLD))}."
        if any(each.get("DataTraceEnabled") for each in own.get("MethodSettings", [])):
            yield f"{name} logs whole bodies."


def goes_into_a_vpc_only_when_asked(template: Template) -> Iterator[str]:
    network = template.data["Globals"]["Function"].get("VpcConfig", {}).get("Fn::If", [None] * 3)
    if network[0] != "InVpc" or network[2] != {"Ref": "AWS::NoValue"}:
        yield "Functions have no VPC that one may ask for."
    for parameter in ("SubnetIds", "SecurityGroupIds"):
        if template.data["Parameters"].get(parameter, {}).get("Default") != "":
            yield f"{parameter} is asked for by default."
    roles = {f"{name}Role" for name in template.functions}
    policy = template.data["Resources"].get("NoNetworkCallsPolicy", {}).get("Properties", {})
    if missing := roles - {role["Ref"] for role in policy.get("Roles", [])}:
        yield f"The code of {', '.join(sorted(missing))} may make network interfaces, which only Lambda has to."


def _denied(document: Mapping[str, Any]) -> list[Any]:
    """Return the conditions under which everybody is refused."""
    return [
        each.get("Condition") for each in document["Statement"] if each["Effect"] == "Deny" and each["Principal"] == "*"
    ]


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = (value or {}).get(name)
    return value


RULES = (
    encrypts_all_that_it_keeps,
    passes_its_key_on,
    makes_a_key_that_turns_and_stays,
    closes_every_bucket,
    keeps_queues_and_topics_to_tls,
    lets_alarms_tell,
    logs_neither_inputs_nor_queries,
    goes_into_a_vpc_only_when_asked,
)
