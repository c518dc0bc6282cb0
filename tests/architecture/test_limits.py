"""The template as CloudFormation gets it stays within what AWS takes; whatever passes a limit is found."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.architecture import limit_rules as rules
from tests.architecture.limit_rules import Template
from tools.translate import translation


@pytest.fixture(scope="module")
def template() -> Template:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        found: Template = translation()
    return found


@pytest.fixture
def changed(template: Template) -> dict[str, Any]:
    """Give a copy to break."""
    return copy.deepcopy(dict(template))


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_template(rule: Callable[[Template], Iterator[str]], template: Template) -> None:
    assert list(rule(template)) == []


def test_a_policy_counts_whether_a_role_names_it_or_it_names_the_role(changed: dict[str, Any]) -> None:
    sweep = changed["Resources"]["SweepRole"]["Properties"]
    sweep["ManagedPolicyArns"] = [f"arn:aws:iam::aws:policy/{number}" for number in range(9)]
    assert list(rules.attaches_no_more_managed_policies_than_iam_does(changed)) == []

    changed["Resources"]["OneMore"] = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"Roles": [{"Ref": "SweepRole"}], "PolicyDocument": {"Statement": []}},
    }

    (found,) = rules.attaches_no_more_managed_policies_than_iam_does(changed)
    assert "SweepRole has 10" in found


def test_whatever_is_written_into_a_role_counts_at_its_full_length(changed: dict[str, Any]) -> None:
    policy = changed["Resources"]["NoNetworkCallsPolicy"]["Properties"]
    policy["PolicyDocument"] = {"Statement": [{"Resource": {"Fn::Sub": "${AWS::StackName}" * 256}}]}

    assert len(list(rules.writes_no_more_into_a_role_than_iam_takes(changed))) == len(policy["Roles"])


def test_a_managed_policy_may_be_too_long(changed: dict[str, Any]) -> None:
    document = changed["Resources"]["NotifyPolicy"]["Properties"]["PolicyDocument"]
    document["Statement"] *= 50

    assert list(rules.keeps_managed_policies_short(changed))


@pytest.mark.parametrize("value", ["v" * 4096, {"Fn::If": ["InVpc", "", {"Ref": "Unbounded"}]}])
def test_an_environment_may_be_too_large(changed: dict[str, Any], value: object) -> None:
    changed["Parameters"]["Unbounded"] = {"Type": "String"}
    changed["Resources"]["Sweep"]["Properties"]["Environment"]["Variables"]["MORE"] = value

    (found,) = rules.keeps_environments_small(changed)
    assert found.startswith("Sweep ")


def test_a_stack_may_be_too_large(changed: dict[str, Any]) -> None:
    changed["Resources"] |= {f"More{number}": {"Type": "AWS::SNS::Topic"} for number in range(500)}

    assert list(rules.makes_no_more_than_a_stack_may_hold(changed))


@pytest.mark.parametrize(
    "reference",
    [
        {"Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["LostEvents", "Arn"]}}},
        {"Properties": {"KmsMasterKeyId": {"Fn::Sub": "${LostEvents.Arn}/x"}}},
        {"Properties": {"KmsMasterKeyId": {"Fn::Sub": ["${a}", {"a": {"Ref": "LostEvents"}}]}}},
        {"DependsOn": "LostEvents"},
        {"DependsOn": ["LostEvents"]},
    ],
)
def test_what_waits_for_itself_is_found(changed: dict[str, Any], reference: dict[str, Any]) -> None:
    changed["Resources"]["Key"] |= reference  # which the queue is encrypted with

    (found,) = rules.waits_in_no_circle(changed)
    assert "Key" in found
    assert "LostEvents" in found


@pytest.mark.parametrize("wrong", [{"Ref": "Nowhere"}, {"Fn::Sub": "${Nowhere.Arn}"}, {"Fn::GetAtt": ["Nowhere", "A"]}])
def test_a_name_that_nothing_has_is_found(changed: dict[str, Any], wrong: dict[str, Any]) -> None:
    changed["Resources"]["Sweep"]["Properties"]["Environment"]["Variables"]["MORE"] = wrong

    assert list(rules.refers_to_what_there_is(changed)) == ["Sweep refers to Nowhere, which is nowhere."]


def test_no_update_of_the_stack_can_turn_the_kill_switch(template: Template) -> None:
    assert "AWS::SSM::Parameter" not in {resource["Type"] for resource in template["Resources"].values()}


def test_what_outlives_the_stack_goes_with_one_that_never_was(template: Template) -> None:
    kept = {
        name: each["DeletionPolicy"]
        for name, each in template["Resources"].items()
        if "DeletionPolicy" in each and each["Type"] != "AWS::Lambda::LayerVersion"  # SAM's: former versions stay
    }

    assert kept.keys() >= {"Key", "Table", "ArtifactBucket", "UploadBucket", "GatewayLogRole", "GatewayAccount"}
    assert set(kept.values()) == {"RetainExceptOnCreate"}


def test_alarms_of_the_reconciliation_have_two_passes_in_each_period(template: Template) -> None:
    periods = {
        name: own["Properties"]["Period"]
        for name, own in template["Resources"].items()
        if own["Type"] == "AWS::CloudWatch::Alarm" and own["Properties"]["Namespace"] == "Pilotlight"
    }

    properties = [own.get("Properties", {}) for own in template["Resources"].values()]
    schedules = [own.get("ScheduleExpression") for own in properties]
    assert "rate(15 minutes)" in schedules
    assert len(periods) == 3
    assert min(periods.values()) >= 2 * 15 * 60


def test_subnets_and_groups_are_asked_for_together(template: Template) -> None:
    asked = {
        (not_empty(rule["RuleCondition"]), not_empty(each["Assert"]))
        for rule in template["Rules"].values()
        for each in rule["Assertions"]
    }

    assert asked == {("SubnetIds", "SecurityGroupIds"), ("SecurityGroupIds", "SubnetIds")}


def not_empty(condition: Any) -> str:
    """Give the parameter that a condition asks to hold something."""
    (parameter, empty) = condition["Fn::Not"][0]["Fn::Equals"]
    assert empty == ""
    return str(parameter["Ref"])
