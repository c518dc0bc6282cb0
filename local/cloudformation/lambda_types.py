"""AWS::Lambda::*: functions whose code is a folder here, and what triggers, names and guards them."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

from moto.awslambda.models import lambda_backends

from local.cloudformation.resource import DeploymentError, Properties, StackResource, names
from local.identity import ACCOUNT_ID, REGION
from local.sam import SOURCE_BUCKET


def _backend() -> Any:
    return lambda_backends[ACCOUNT_ID][REGION]


def _nothing_zipped() -> bytes:
    """Give an archive for moto to keep: workers read the folder, so nothing has to be packed."""
    archive = io.BytesIO()
    zipfile.ZipFile(archive, "w").close()
    return base64.b64encode(archive.getvalue())


def _folder(location: Any, logical_id: str) -> Path:
    if not isinstance(location, dict) or location.get("S3Bucket") != SOURCE_BUCKET:
        raise DeploymentError(f"{logical_id}: only code from a folder of this template runs locally.")
    return Path(location["S3Key"])


class Function(StackResource):
    """A function; moto keeps its configuration, the workers read the folder and the rest beside it."""

    type_name = "AWS::Lambda::Function"
    name_property = "FunctionName"
    _passed_on = names(
        "Architectures Description Environment EphemeralStorage Handler Layers MemorySize Role Runtime "
        "ReservedConcurrentExecutions Timeout TracingConfig"
    )
    properties = _passed_on | {"Code", "DeadLetterConfig", "FunctionName", "LoggingConfig", "Tags"}

    def create(self, name: str, properties: Properties) -> None:
        """Make the function."""
        spec = {key: value for key, value in properties.items() if key in self._passed_on}
        spec |= {"FunctionName": name, "Code": {"ZipFile": _nothing_zipped()}}
        spec["Tags"] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        function = _backend().create_function(spec)
        function.code_directory = _folder(properties["Code"], self.logical_id)
        function.dead_letter_config = properties.get("DeadLetterConfig")
        function.logging_config = properties.get("LoggingConfig") or {}
        function.logs_group_name = function.logging_config.get("LogGroup", function.logs_group_name)
        self.physical_resource_id = name
        self.attributes = {"Arn": function.function_arn}


class LayerVersion(StackResource):
    """A layer: its `python` folder joins the path of the functions that name it.

    A layer without one is made by a build from its requirements; here, the interpreter that runs
    the embedded cloud has those packages already.
    """

    type_name = "AWS::Lambda::LayerVersion"
    name_property = "LayerName"
    properties = names("CompatibleArchitectures CompatibleRuntimes Content Description LayerName LicenseInfo")

    def create(self, name: str, properties: Properties) -> None:
        """Publish the layer's version."""
        spec = {**properties, "LayerName": name, "Content": {"ZipFile": _nothing_zipped()}}
        version = _backend().publish_layer_version(spec)
        version.content_directory = _folder(properties["Content"], self.logical_id)
        self.physical_resource_id = version.arn
        self.attributes = {"LayerVersionArn": version.arn}


class Version(StackResource):
    """A published version."""

    type_name = "AWS::Lambda::Version"
    properties = frozenset({"Description", "FunctionName"})

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - versions are numbered
        """Publish the version."""
        published = self.call("lambda", "PublishVersion", properties)
        self.physical_resource_id = published["FunctionArn"]
        self.attributes = {"Version": published["Version"], "FunctionArn": published["FunctionArn"]}


class Alias(StackResource):
    """A name for a version."""

    type_name = "AWS::Lambda::Alias"
    properties = names("Description FunctionName FunctionVersion Name")

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - Name is required
        """Make the alias."""
        self.physical_resource_id = self.call("lambda", "CreateAlias", properties)["AliasArn"]
        self.attributes = {"AliasArn": self.physical_resource_id}


class Permission(StackResource):
    """A statement of the function's own policy: who may invoke it."""

    type_name = "AWS::Lambda::Permission"
    properties = names("Action FunctionName Principal SourceAccount SourceArn")

    def create(self, name: str, properties: Properties) -> None:
        """Add the statement."""
        self.call("lambda", "AddPermission", {**properties, "StatementId": self.logical_id})
        self.physical_resource_id = name


class EventInvokeConfig(StackResource):
    """How often an asynchronous event is retried, and where it ends."""

    type_name = "AWS::Lambda::EventInvokeConfig"
    properties = names("DestinationConfig FunctionName MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier")

    def create(self, name: str, properties: Properties) -> None:
        """Put the configuration."""
        self.call("lambda", "PutFunctionEventInvokeConfig", properties)
        self.physical_resource_id = name


class EventSourceMapping(StackResource):
    """A queue or stream that a function is fed from."""

    type_name = "AWS::Lambda::EventSourceMapping"
    properties = names(
        "BatchSize BisectBatchOnFunctionError DestinationConfig Enabled EventSourceArn FilterCriteria "
        "FunctionName FunctionResponseTypes MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds "
        "MaximumRetryAttempts ParallelizationFactor ScalingConfig StartingPosition"
    )

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - Lambda gives it an id
        """Make the mapping."""
        mapping = self.call("lambda", "CreateEventSourceMapping", properties)
        self.physical_resource_id = mapping["UUID"]
        self.attributes = {"Id": mapping["UUID"], "EventSourceMappingArn": mapping["EventSourceMappingArn"]}


TYPES = (Function, LayerVersion, Version, Alias, Permission, EventInvokeConfig, EventSourceMapping)
