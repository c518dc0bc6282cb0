"""Roles allow what their functions do, and nothing that the template's users did not choose."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import permission_rules
from tests.architecture.permission_rules import (
    actions_of,
    allows,
    listed,
    managed,
    of_function,
    resources,
    table_actions,
)
from tests.architecture.template_rules import Template
from tools import cloudformation
from tools.cloudformation import ROOT

GOOD = """
Resources:
  StartImport:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - Statement:
            - Effect: Allow
              Action: bedrock:CreateModelImportJob
              Resource: "*"
              Condition: &stamped {StringEquals: {"aws:RequestTag/pilotlight:stack": s}}
            - {Effect: Allow, Action: bedrock:TagResource, Resource: !Sub "${Jobs}/*", Condition: *stamped}
            - {Effect: Allow, Action: iam:PassRole, Resource: r, Condition: {StringEquals: {iam:PassedToService: b}}}
  Api:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - !Ref ReadPolicy
        - Statement:
            Effect: Allow
            Action: s3:ListBucket
            Resource: !GetAtt ArtifactBucket.Arn
            Condition: {StringLikeIfExists: {s3:prefix: invocations/*}}
  ReadPolicy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement: [{Effect: Allow, Action: [s3:GetObject], Resource: !Sub "${ArtifactBucket.Arn}/invocations/*"}]
  ImportRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement:
          Effect: Allow
          Condition: {StringEquals: {aws:SourceAccount: a}, ArnLike: {aws:SourceArn: j}}
  LostPolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      PolicyDocument: {Statement: [{Effect: Allow, Condition: {ArnLike: {aws:SourceArn: rule}}}]}
"""
IMPORTED = "bedrock:DeleteImportedModel"
ANSWERS = "${ArtifactBucket.Arn}/invocations/*"


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(cloudformation.TEMPLATE.read_text())


@pytest.mark.parametrize("rule", permission_rules.RULES, ids=lambda rule: rule.__name__)
def test_every_role(rule: Callable[[Template], Iterator[str]], template: Template) -> None:
    assert list(rule(template)) == []


@pytest.mark.parametrize(
    ("rule", "found", "put"),
    [
        (permission_rules.names_no_resource_where_there_is_none, 'Resource: "*"', "Resource: !Sub '${Jobs}/*'"),
        (permission_rules.names_no_resource_where_there_is_none, "bedrock:CreateModelImportJob", "bedrock:TagResource"),
        (permission_rules.tells_what_is_missing_from_what_is_forbidden, "s3:ListBucket", "s3:PutObject"),
        (permission_rules.allows_no_actions_by_wildcard, "s3:ListBucket", "s3:List*"),
        (permission_rules.hands_roles_to_one_service_only, "iam:PassedToService", "aws:PrincipalArn"),
        (permission_rules.stamps_what_it_makes_and_deletes_what_is_stamped, "aws:RequestTag/", "aws:ResourceTag/"),
        (permission_rules.stamps_what_it_makes_and_deletes_what_is_stamped, "iam:PassRole", IMPORTED),
        (permission_rules.stamps_what_it_makes_and_deletes_what_is_stamped, "iam:PassRole", "sagemaker:CreateModel"),
        (permission_rules.stamps_what_it_makes_and_deletes_what_is_stamped, "iam:PassRole", "sagemaker:DeleteEndpoint"),
        (
            permission_rules.asks_only_lists_of_objects_for_their_prefix,
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
        ),
        (permission_rules.trusts_services_for_this_account_only, "aws:SourceAccount", "aws:PrincipalArn"),
        (permission_rules.lets_services_in_for_this_account_only, "aws:SourceArn: rule", "aws:PrincipalArn: rule"),
    ],
)
def test_a_rule_finds_what_breaks_it(rule: Callable[[Template], Iterator[str]], found: str, put: str) -> None:
    assert GOOD.replace("bedrock:TagResource", "").count(found) == 1

    assert list(rule(Template(GOOD.replace(found, put, 1))))


def test_no_rule_minds_what_is_right() -> None:
    assert [finding for rule in permission_rules.RULES for finding in rule(Template(GOOD))] == []


def test_the_table_is_used_as_its_adapter_does_and_no_other_way(template: Template) -> None:
    actions = table_actions(ROOT / "layers/core/python/pilotlight/adapters/table.py")

    granted = {action for name in template.functions for action in actions_of(template, name)}
    assert {action for action in granted if action.startswith("dynamodb:")} == actions != set()


def test_who_only_reads_records_writes_none(template: Template) -> None:
    (records,) = (each for each in managed(template)["ReadRecordsPolicy"] if "dynamodb" in str(each["Action"]))

    assert listed(records["Action"]) == ["dynamodb:GetItem"]


def test_import_jobs_may_be_created_and_tagged(template: Template) -> None:
    (create,) = allows(template, "StartImport", "bedrock:CreateModelImportJob", "*")

    assert listed(create["Action"]) == ["bedrock:CreateModelImportJob"]
    assert allows(template, "StartImport", "bedrock:TagResource", "model-import-job/*")
    assert allows(template, "StartImport", "bedrock:TagResource", "imported-model/*")


def test_no_foreign_bucket_is_read_unless_somebody_names_it(template: Template) -> None:
    assert template.data["Parameters"]["SourceBuckets"]["Default"] == ""

    buckets, objects = managed(template)["InspectPolicy"][:2]
    readable = [*buckets["Resource"], *objects["Resource"]]
    unconditional = [each for each in readable if "Fn::If" not in each]
    foreign = [each["Fn::If"] for each in readable if "Fn::If" in each]
    assert all("UploadBucket" in str(each) for each in unconditional)
    assert [(each[0], each[2]) for each in foreign] == [("ReadsOtherBuckets", {"Ref": "AWS::NoValue"})] * 2


def test_whoever_reads_sources_reads_no_answers_of_others(template: Template) -> None:
    """The API is the exception: it gives answers out, each by its id."""
    readers = {name for name, own in template.functions.items() if {"Ref": "InspectPolicy"} in own.get("Policies", [])}

    denied = {
        name
        for name in readers
        for statement in of_function(template, name)
        if statement["Effect"] == "Deny" and ANSWERS in resources(statement)
    }
    assert readers - denied == {"Api"}


@pytest.mark.parametrize("function", ["StartWarmUp", "RunInvocation", "Sweep", "Api", "ApiInvoke"])
def test_whoever_starts_a_wake_may_see_whether_it_died(template: Template, function: str) -> None:
    assert allows(template, function, "states:StartExecution", ":stateMachine:${AWS::StackName}-warm")
    assert allows(template, function, "states:DescribeExecution", ":execution:${AWS::StackName}-warm:*")


def test_the_sweep_starts_work_and_calls_no_model(template: Template) -> None:
    assert not allows(template, "Sweep", "bedrock:InvokeModel", "imported-model")


def test_a_plan_may_see_which_parts_an_earlier_attempt_left(template: Template) -> None:
    assert allows(template, "PlanStaging", "s3:ListMultipartUploadParts", "artifacts/*")
