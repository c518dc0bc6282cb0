"""The REST API and the state machines: what callers and events start."""

from __future__ import annotations

import json
import uuid
from typing import Any

from moto.apigateway.models import apigateway_backends

from local.cloudformation.resource import DeploymentError, Properties, StackResource, names
from local.identity import ACCOUNT_ID, REGION


class RestApi(StackResource):
    """A REST API from its OpenAPI body: moto keeps the resources, the gateway reads them from there."""

    type_name = "AWS::ApiGateway::RestApi"
    name_property = "Name"
    _passed_on = names(
        "BinaryMediaTypes Description DisableExecuteApiEndpoint EndpointConfiguration MinimumCompressionSize Policy"
    )
    properties = _passed_on | {"Body", "FailOnWarnings", "Name", "Parameters", "Tags"}

    def create(self, name: str, properties: Properties) -> None:
        """Make the API with its resources, methods and integrations."""
        if "Body" not in properties:
            raise DeploymentError(f"{self.logical_id}: an API without Body has no routes to serve.")
        wanted: dict[str, Any] = {key: properties[key] for key in self._passed_on & set(properties)}
        wanted["Tags"] = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        api = self.call("apigateway", "CreateRestApi", {"Name": name, **wanted})
        self._import(api["id"], properties["Body"], properties.get("BinaryMediaTypes", []))
        self.physical_resource_id = api["id"]
        self.attributes = {"RestApiId": api["id"], "RootResourceId": api["rootResourceId"]}

    def _import(self, api_id: str, body: Properties, binary: list[str]) -> None:
        # moto reads OpenAPI 3 only; of what the translator writes, both versions spell the paths alike.
        spec = {"openapi": "3.0.1", "paths": {path: _methods(item) for path, item in body["paths"].items()}}
        backend = apigateway_backends[ACCOUNT_ID][REGION]
        backend.put_rest_api(api_id, spec, fail_on_warnings=False)
        backend.apis[api_id].binaryMediaTypes = binary  # moto's CreateRestApi drops them


def _methods(item: Properties) -> Properties:
    """Give a path's methods without the placeholder that stands for the caller's own credentials.

    The translator writes it (user/*, of any account) for AWS_IAM; moto takes it for a foreign role.
    """
    methods = {method: dict(settings) for method, settings in item.items()}
    for settings in methods.values():
        integration = dict(settings.get("x-amazon-apigateway-integration", {}))
        if integration.get("credentials") == "arn:aws:iam::*:user/*":
            del integration["credentials"]
            settings["x-amazon-apigateway-integration"] = integration
    return methods


class Deployment(StackResource):
    """A snapshot of an API."""

    type_name = "AWS::ApiGateway::Deployment"
    properties = frozenset({"Description", "RestApiId", "StageName"})

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - API Gateway gives it an id
        """Deploy the API; the translator's first, unused stage of it is not made."""
        wanted = {key: value for key, value in properties.items() if key != "StageName"}
        self.physical_resource_id = self.call("apigateway", "CreateDeployment", wanted)["id"]
        self.attributes = {"DeploymentId": self.physical_resource_id}


class Stage(StackResource):
    """A stage of an API."""

    type_name = "AWS::ApiGateway::Stage"
    properties = names(
        "AccessLogSetting DeploymentId Description MethodSettings RestApiId StageName Tags TracingEnabled Variables"
    )

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - StageName is required
        """Make the stage. Its logging and throttling settings are of the real gateway (see accepted.py)."""
        passed_on = {"DeploymentId", "Description", "RestApiId", "StageName", "TracingEnabled", "Variables"}
        self.call("apigateway", "CreateStage", {key: properties[key] for key in passed_on & set(properties)})
        self.physical_resource_id = properties["StageName"]


class StateMachine(StackResource):
    """A state machine, in the backend that executes."""

    type_name = "AWS::StepFunctions::StateMachine"
    name_property = "StateMachineName"
    _passed_on = names("LoggingConfiguration RoleArn Tags TracingConfiguration")
    properties = _passed_on | {
        "Definition",
        "DefinitionString",
        "DefinitionSubstitutions",
        "StateMachineName",
        "StateMachineType",
    }

    def create(self, name: str, properties: Properties) -> None:
        """Make the state machine with its substitutions in place."""
        definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
        for key, value in properties.get("DefinitionSubstitutions", {}).items():
            definition = definition.replace(f"${{{key}}}", str(value))
        wanted: dict[str, Any] = {key: properties[key] for key in self._passed_on & set(properties)}
        wanted |= {
            "Name": name,
            "Definition": definition,
            "Type": properties.get("StateMachineType", "STANDARD"),
        }
        arn = self.call("stepfunctions", "CreateStateMachine", wanted)["stateMachineArn"]
        self.physical_resource_id = arn
        self.attributes = {"Arn": arn, "Name": name, "StateMachineRevisionId": str(uuid.uuid4())}


TYPES = (RestApi, Deployment, Stage, StateMachine)
