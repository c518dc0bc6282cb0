"""Roles as CloudFormation gets them keep the rules; taking any one condition away, or adding a policy, breaks one."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.architecture import translated_rules as rules
from tests.architecture.translated_rules import Resources
from tools.translate import translation

BEDROCK = "bedrock.${AWS::Region}.amazonaws.com"


@pytest.fixture(scope="module")
def resources() -> Resources:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        found: Resources = translation()["Resources"]
    return found


@pytest.fixture
def changed(resources: Resources) -> dict[str, Any]:
    """Give a copy to break."""
    return copy.deepcopy(dict(resources))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_role(rule: Callable[[Resources], Iterator[str]], resources: Resources) -> None:
    assert list(rule(resources)) == []


def test_every_kind_of_policy_is_read(resources: Resources) -> None:
    read = {name for name, _ in rules.statements(resources)}

    assert read >= {"ImportRole", "ImportNetworkPolicy", "NotifyPolicy", "StartImportRole", "DeployMachineRole"}


def test_no_condition_on_a_key_may_be_left_out(resources: Resources) -> None:
    using = [each for _, each, actions in rules.allowed(resources) if any(a.startswith("kms:") for a in actions)]

    assert len(using) >= 8
    for number in range(len(using)):
        broken = copy.deepcopy(dict(resources))
        again = [each for _, each, actions in rules.allowed(broken) if any(a.startswith("kms:") for a in actions)]
        del again[number]["Condition"]  # type: ignore[attr-defined]  # a Statement is to be read: not so here
        assert list(rules.uses_keys_through_a_service_only(broken)), again[number]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}}},
        {"StringEquals": {"kms:ViaService": [{"Fn::Sub": BEDROCK}, {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"}]}},
        {"StringEqualsIfExists": {"kms:ViaService": {"Fn::Sub": BEDROCK}}},
    ],
    ids=["another service", "a second service", "only where it is told"],
)
def test_no_grant_is_given_but_by_bedrock(changed: dict[str, Any], condition: dict[str, Any]) -> None:
    (grant,) = (each for _, each, actions in rules.allowed(changed) if "kms:CreateGrant" in actions)
    grant["Condition"] = condition  # type: ignore[index]  # a Statement is to be read: not so here

    assert list(rules.hands_keys_to_bedrock_alone(changed))


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        (rules.allows_everything_only_where_nothing_can_be_named, {"Action": "s3:GetObject", "Resource": "*"}),
        (rules.allows_everything_only_where_nothing_can_be_named, {"Action": ["ec2:CreateTags"], "Resource": ["*"]}),
        (rules.names_each_action, {"Action": "s3:Get*", "Resource": "arn"}),
        (rules.names_each_action, {"NotAction": "s3:GetObject", "Resource": "arn"}),
    ],
)
@pytest.mark.parametrize("kind", ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::Role"])
def test_whatever_kind_of_policy_allows_too_much_is_found(
    changed: dict[str, Any], rule: Callable[[Resources], Iterator[str]], statement: dict[str, Any], kind: str
) -> None:
    document = {"PolicyDocument": {"Statement": [{"Effect": "Allow", **statement}]}}
    changed["Wide"] = {"Type": kind, "Properties": {"Policies": [document]} if kind.endswith("Role") else document}

    assert list(rule(changed))


@pytest.mark.parametrize("policy", ["arn:aws:iam::aws:policy/AmazonS3FullAccess", {"Ref": "SomebodysPolicy"}])
def test_a_policy_of_others_that_nobody_explained_is_found(changed: dict[str, Any], policy: object) -> None:
    changed["SweepRole"]["Properties"]["ManagedPolicyArns"].append(policy)

    assert list(rules.takes_only_known_policies_of_aws(changed))


def test_every_reason_for_a_policy_of_aws_is_of_one_that_is_there(resources: Resources) -> None:
    attached = str([own.get("Properties", {}).get("ManagedPolicyArns") for own in resources.values()])

    assert [name for name in rules.OF_AWS if f":iam::aws:policy/{name}'" not in attached] == []
