"""Buckets, tables and secrets, with the properties that moto's own CloudFormation leaves out."""

from __future__ import annotations

import json
from typing import Any

from local.cloudformation.resource import DeploymentError, Properties, StackResource, document, names
from local.identity import REGION


class Bucket(StackResource):
    """A bucket."""

    type_name = "AWS::S3::Bucket"
    name_property = "BucketName"
    properties = names(
        "BucketEncryption BucketName LifecycleConfiguration NotificationConfiguration OwnershipControls "
        "PublicAccessBlockConfiguration Tags VersioningConfiguration"
    )

    def create(self, name: str, properties: Properties) -> None:
        """Make the bucket, then apply each property by its own call."""
        self.call("s3", "CreateBucket", {"Bucket": name})
        for key, operation, parameters in _bucket_settings(properties, self.logical_id):
            if key in properties:
                self.call("s3", operation, {"Bucket": name, **parameters})
        self.physical_resource_id = name
        self.attributes = {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{REGION}.amazonaws.com",
        }


def _bucket_settings(wanted: Properties, logical_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Give each property's operation with its parameters, spelled as S3 does."""
    rules = wanted.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [])
    lifecycle = [_lifecycle_rule(rule) for rule in wanted.get("LifecycleConfiguration", {}).get("Rules", [])]
    return [
        (
            "BucketEncryption",
            "PutBucketEncryption",
            {"ServerSideEncryptionConfiguration": {"Rules": [_encryption_rule(rule) for rule in rules]}},
        ),
        (
            "LifecycleConfiguration",
            "PutBucketLifecycleConfiguration",
            {"LifecycleConfiguration": {"Rules": lifecycle}},
        ),
        (
            "NotificationConfiguration",
            "PutBucketNotificationConfiguration",
            {"NotificationConfiguration": _notifications(wanted.get("NotificationConfiguration", {}), logical_id)},
        ),
        ("OwnershipControls", "PutBucketOwnershipControls", _same(wanted, "OwnershipControls")),
        (
            "PublicAccessBlockConfiguration",
            "PutPublicAccessBlock",
            _same(wanted, "PublicAccessBlockConfiguration"),
        ),
        ("Tags", "PutBucketTagging", {"Tagging": {"TagSet": wanted.get("Tags", [])}}),
        ("VersioningConfiguration", "PutBucketVersioning", _same(wanted, "VersioningConfiguration")),
    ]


def _same(wanted: Properties, name: str) -> dict[str, Any]:
    return {name: wanted.get(name, {})}


def _encryption_rule(rule: Properties) -> dict[str, Any]:
    renamed = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    return {renamed.get(key, key): value for key, value in rule.items()}


def _notifications(wanted: Properties, logical_id: str) -> dict[str, Any]:
    others = set(wanted) - {"EventBridgeConfiguration"}
    if others:
        raise DeploymentError(f"{logical_id}: bucket notifications go through EventBridge here, not {sorted(others)}.")
    enabled = wanted.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled", True)
    return {"EventBridgeConfiguration": {}} if str(enabled).lower() == "true" else {}


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """Give a rule in S3's words: CloudFormation has flat names where the API nests."""
    rest = dict(rule)
    translated: dict[str, Any] = {"Filter": {"Prefix": rest.pop("Prefix", "")}}
    if "Id" in rest:
        translated["ID"] = rest.pop("Id")
    if "ExpirationInDays" in rest:
        translated["Expiration"] = {"Days": rest.pop("ExpirationInDays")}
    if "Transitions" in rest:
        translated["Transitions"] = [
            {("Days" if key == "TransitionInDays" else key): value for key, value in transition.items()}
            for transition in rest.pop("Transitions")
        ]
    return translated | rest


class BucketPolicy(StackResource):
    """A bucket's policy."""

    type_name = "AWS::S3::BucketPolicy"
    properties = frozenset({"Bucket", "PolicyDocument"})

    def create(self, name: str, properties: Properties) -> None:
        """Put the policy."""
        policy = document(properties["PolicyDocument"])
        self.call("s3", "PutBucketPolicy", {"Bucket": properties["Bucket"], "Policy": policy})
        self.physical_resource_id = name


class Table(StackResource):
    """A DynamoDB table."""

    type_name = "AWS::DynamoDB::Table"
    name_property = "TableName"
    _passed_on = names(
        "AttributeDefinitions BillingMode DeletionProtectionEnabled GlobalSecondaryIndexes KeySchema "
        "LocalSecondaryIndexes ProvisionedThroughput Tags"
    )
    properties = _passed_on | {
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "StreamSpecification",
        "TableName",
        "TimeToLiveSpecification",
    }

    def create(self, name: str, properties: Properties) -> None:
        """Make the table, then what CreateTable does not take."""
        parameters = {key: value for key, value in properties.items() if key in self._passed_on}
        if "StreamSpecification" in properties:
            parameters["StreamSpecification"] = {"StreamEnabled": True, **properties["StreamSpecification"]}
        if "SSESpecification" in properties:
            wanted = dict(properties["SSESpecification"])
            parameters["SSESpecification"] = {"Enabled": wanted.pop("SSEEnabled"), **wanted}
        table = self.call("dynamodb", "CreateTable", {"TableName": name, **parameters})["TableDescription"]
        for key, operation in (
            ("TimeToLiveSpecification", "UpdateTimeToLive"),
            ("PointInTimeRecoverySpecification", "UpdateContinuousBackups"),
        ):
            if key in properties:
                self.call("dynamodb", operation, {"TableName": name, key: properties[key]})
        self.physical_resource_id = name
        self.attributes = {"Arn": table["TableArn"]}
        if "LatestStreamArn" in table:
            self.attributes["StreamArn"] = table["LatestStreamArn"]


class Secret(StackResource):
    """A secret, given or generated."""

    type_name = "AWS::SecretsManager::Secret"
    name_property = "Name"
    properties = names("Description GenerateSecretString KmsKeyId Name SecretString Tags")

    def create(self, name: str, properties: Properties) -> None:
        """Make the secret."""
        rest = dict(properties)
        generate = rest.pop("GenerateSecretString", None)
        if generate is not None:
            rest["SecretString"] = self._generated(dict(generate))
        secret = self.call("secretsmanager", "CreateSecret", {**rest, "Name": name})
        self.physical_resource_id = secret["ARN"]
        self.attributes = {"Id": secret["ARN"]}

    def _generated(self, wanted: Properties) -> str:
        template, key = wanted.pop("SecretStringTemplate", None), wanted.pop("GenerateStringKey", None)
        password = str(self.call("secretsmanager", "GetRandomPassword", wanted)["RandomPassword"])
        return password if key is None else json.dumps({**json.loads(template), key: password})


TYPES = (Bucket, BucketPolicy, Table, Secret)
