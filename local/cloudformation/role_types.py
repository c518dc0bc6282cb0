"""IAM roles: moto's own CloudFormation keeps inline policies as no JSON that anybody could evaluate."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, iam_backends

from local.cloudformation.resource import DeploymentError, Properties, StackResource, document, names
from local.identity import ACCOUNT_ID, REGION

_BY_AWS = "arn:aws:iam::aws:policy/"


class Role(StackResource):
    """A role with its inline and its attached policies."""

    type_name = "AWS::IAM::Role"
    name_property = "RoleName"
    _passed_on = names("Description MaxSessionDuration Path PermissionsBoundary Tags")
    properties = _passed_on | {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies", "RoleName"}

    def create(self, name: str, properties: Properties) -> None:
        """Make the role."""
        wanted = {key: properties[key] for key in self._passed_on & set(properties)}
        trust = document(properties["AssumeRolePolicyDocument"])
        role = self.call("iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": trust, **wanted})["Role"]
        for policy in properties.get("Policies", []):
            # IAM takes a document without a version, as the translator writes them; moto does not.
            text = document({"Version": "2012-10-17", **policy["PolicyDocument"]})
            inline = {"PolicyName": policy["PolicyName"], "PolicyDocument": text}
            self.call("iam", "PutRolePolicy", {"RoleName": name, **inline})
        for arn in properties.get("ManagedPolicyArns", []):
            if arn.startswith(_BY_AWS):
                self._load(arn)
            self.call("iam", "AttachRolePolicy", {"RoleName": name, "PolicyArn": arn})
        self.physical_resource_id = name
        self.attributes = {"Arn": role["Arn"], "RoleId": role["RoleId"]}

    def _load(self, arn: str) -> None:
        """Put a policy of AWS' own into moto, which knows all of them and, for speed, starts with none."""
        name = arn.rsplit("/", 1)[1]
        if name not in _policies_of_aws():
            raise DeploymentError(f"{self.logical_id}: AWS has no managed policy {arn}.")
        policy = AWSManagedPolicy.from_data(name, ACCOUNT_ID, REGION, _policies_of_aws()[name])
        iam_backends[ACCOUNT_ID]["aws"].managed_policies.setdefault(policy.arn, policy)


@cache
def _policies_of_aws() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(aws_managed_policies_data)
    return known


TYPES = (Role,)
