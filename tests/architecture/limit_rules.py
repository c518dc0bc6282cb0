"""What IAM, Lambda and CloudFormation take at most: a template that breaks one of these fails halfway through."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Template = Mapping[str, Any]

# Source: IAM user guide, "IAM and AWS STS quotas"; policies are counted without white space.
MOST_MANAGED_POLICIES = 9  # of ten: one is left for what an account's owner attaches to all roles
MOST_INLINE_CHARACTERS = 10_240
MOST_MANAGED_CHARACTERS = 6_144
# Source: Lambda developer guide, "Lambda quotas": names and values together.
MOST_ENVIRONMENT_BYTES = 4_096
# Source: CloudFormation user guide, "Understand CloudFormation quotas".
MOST_RESOURCES = 500

# As long as these may become: a stack's name is bounded by docs/operations.md, the ARN of a secret by our names.
LONGEST = {
    "AWS::StackName": "s" * 40,
    "AWS::Region": "us-gov-west-1",
    "AWS::AccountId": "1" * 12,
    "AWS::Partition": "aws-us-gov",
    "AWS::URLSuffix": "amazonaws.com.cn",
}
OF_A_RESOURCE = "r" * 150
# What a parameter may hold at most, where no list of values and no bound on its length says so.
OF_A_PARAMETER = {
    "HubEndpoint": 200,
    "ModelScopeEndpoint": 200,
    "SourceBuckets": 63,
    "KmsKeyArn": 110,
    "SubnetIds": 400,
    "SecurityGroupIds": 105,
}
OF_A_NUMBER = "9" * 7
REFERENCE = re.compile(r"\$\{([^!}]+)\}")


def attaches_no_more_managed_policies_than_iam_does(template: Template) -> Iterator[str]:
    for role, properties in _of(template, "AWS::IAM::Role").items():
        count = len(properties.get("ManagedPolicyArns", [])) + len(list(_attached(template, role, "ManagedPolicy")))
        if count > MOST_MANAGED_POLICIES:
            yield f"{role} has {count} managed policies, and may have {MOST_MANAGED_POLICIES}: write some into it."


def writes_no_more_into_a_role_than_iam_takes(template: Template) -> Iterator[str]:
    for role, properties in _of(template, "AWS::IAM::Role").items():
        own = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        size = sum(_size(template, document) for document in [*own, *_attached(template, role, "Policy")])
        if size > MOST_INLINE_CHARACTERS:
            yield f"{role} holds policies of {size:,} characters, and may hold {MOST_INLINE_CHARACTERS:,}."


def keeps_managed_policies_short(template: Template) -> Iterator[str]:
    for name, properties in _of(template, "AWS::IAM::ManagedPolicy").items():
        if (size := _size(template, properties["PolicyDocument"])) > MOST_MANAGED_CHARACTERS:
            yield f"{name} has {size:,} characters, and may have {MOST_MANAGED_CHARACTERS:,}."


def keeps_environments_small(template: Template) -> Iterator[str]:
    for name, properties in _of(template, "AWS::Lambda::Function").items():
        variables = properties.get("Environment", {}).get("Variables", {})
        size = sum(len(key) + len(longest(template, value)) for key, value in variables.items())
        if size > MOST_ENVIRONMENT_BYTES:
            yield f"{name} may get an environment of {size:,} bytes, and Lambda takes {MOST_ENVIRONMENT_BYTES:,}."


def makes_no_more_than_a_stack_may_hold(template: Template) -> Iterator[str]:
    if (count := len(template["Resources"])) > MOST_RESOURCES:
        yield f"The stack would have {count} resources, and may have {MOST_RESOURCES}."


def waits_in_no_circle(template: Template) -> Iterator[str]:
    waits = {name: set(_named(resource)) & template["Resources"].keys() for name, resource in _all(template)}
    while free := {name for name, others in waits.items() if not others & waits.keys()}:
        waits = {name: others for name, others in waits.items() if name not in free}
    if waits:
        yield f"These wait for one another, or for those that do: {', '.join(sorted(waits))}."


def refers_to_what_there_is(template: Template) -> Iterator[str]:
    known = template["Resources"].keys() | template["Parameters"].keys() | LONGEST.keys() | {"AWS::NoValue"}
    for name, resource in _all(template):
        yield from (f"{name} refers to {other}, which is nowhere." for other in _named(resource) if other not in known)


RULES = (
    attaches_no_more_managed_policies_than_iam_does,
    writes_no_more_into_a_role_than_iam_takes,
    keeps_managed_policies_short,
    keeps_environments_small,
    makes_no_more_than_a_stack_may_hold,
    waits_in_no_circle,
    refers_to_what_there_is,
)


def longest(template: Template, value: Any) -> str:
    """Return a value as text, as long as it may become in an account."""
    match value:
        case {"Fn::If": [_, first, second]}:
            return max(longest(template, first), longest(template, second), key=len)
        case {"Fn::Sub": str(text)}:
            return REFERENCE.sub(lambda found: _referred(template, found[1]), text)
        case {"Ref": str(name)}:
            return _referred(template, name)
        case {"Fn::GetAtt": _}:
            return OF_A_RESOURCE
        case dict():
            return json.dumps({key: longest(template, each) for key, each in value.items()}, separators=(",", ":"))
        case list():
            return json.dumps([longest(template, each) for each in value], separators=(",", ":"))
        case _:
            return str(value)


def _referred(template: Template, name: str) -> str:
    parameter = template["Parameters"].get(name)
    if parameter is None:
        return "" if name == "AWS::NoValue" else LONGEST.get(name, OF_A_RESOURCE)
    if parameter["Type"] == "Number":
        return OF_A_NUMBER
    return max(parameter.get("AllowedValues", ["p" * OF_A_PARAMETER.get(name, 4096)]), key=len)


def _size(template: Template, document: Any) -> int:
    return len("".join(longest(template, document).split()))


def _attached(template: Template, role: str, kind: str) -> Iterator[Any]:
    for properties in _of(template, f"AWS::IAM::{kind}").values():
        if {"Ref": role} in properties.get("Roles", []):
            yield properties["PolicyDocument"]


def _named(value: Any) -> Iterator[str]:
    """Yield what a value refers to, in whatever way: CloudFormation makes that first."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(path)}:
            yield path.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from (found.partition(".")[0] for found in REFERENCE.findall(text))
        case {"Fn::Sub": [str(text), dict(given)]}:
            yield from (name for found in REFERENCE.findall(text) if (name := found.partition(".")[0]) not in given)
            yield from _named(given)
        case dict():
            waits = value.get("DependsOn", [])
            yield from [waits] if isinstance(waits, str) else waits
            yield from (name for key, each in value.items() if key != "DependsOn" for name in _named(each))
        case list():
            yield from (name for each in value for name in _named(each))


def _all(template: Template) -> Iterator[tuple[str, Any]]:
    yield from template["Resources"].items()


def _of(template: Template, kind: str) -> dict[str, Any]:
    return {name: each.get("Properties", {}) for name, each in _all(template) if each["Type"] == kind}
