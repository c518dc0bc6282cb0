"""Policies as IAM reads them, and calls as policies see them: an account refuses what this lets pass by mistake."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local import authorization
from local.authorization import ACCOUNT, Call, Role, Service, decide, sessions
from local.authorization.conditions import UnknownConditionError, conditions_of, holds
from local.authorization.policies import policy_of
from local.authorization.requests import Asked, UnknownRequestError, needed_by
from local.authorization.sessions import Session

ROLE = Role("arn:aws:iam::123456789012:role/reader", "session")
RULE = Service("events.amazonaws.com", "arn:aws:events:us-east-1:123456789012:rule/tick")
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/records"
TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:m:e"
MODEL = "arn:aws:bedrock:us-east-1:123456789012:imported-model/m1"


def policy(*statements: dict[str, Any]) -> Any:
    return policy_of(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


LISTS = allow(["s3:ListBucket"], "arn:aws:s3:::b", Condition={"StringLike": {"s3:prefix": "a/*"}})
READS = allow("s3:Get*", "arn:aws:s3:::b/*")
NEVER = deny("s3:GetObject", "arn:aws:s3:::b/secret/*")


@pytest.mark.parametrize(
    ("action", "resource", "facts", "is_allowed"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/a", {}, True),
        ("S3:getobject", "arn:aws:s3:::b/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::B/a", {}, False),
        ("s3:GetObject", "arn:aws:s3:::b/secret/a", {}, False),
        ("s3:GetObject", "arn:aws:s3:::other/a", {}, False),
        ("s3:PutObject", "arn:aws:s3:::b/a", {}, False),
        ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": "a/b"}, True),
        ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": "c/"}, False),
        ("s3:ListBucket", "arn:aws:s3:::b", {}, False),
    ],
)
def test_a_roles_policies_are_read_as_an_account_would(
    action: str, resource: str, facts: dict[str, str], is_allowed: bool
) -> None:
    call = Call.of(ROLE, action, resource, facts)

    assert decide(call, [policy(LISTS, READS), policy(NEVER)], None).allowed is is_allowed


def test_what_is_not_named_is_what_not_action_and_not_resource_speak_of() -> None:
    but = policy({"Effect": "Allow", "NotAction": "s3:Delete*", "NotResource": "arn:aws:s3:::b/kept/*"})

    def allowed(action: str, key: str) -> bool:
        return decide(Call.of(ROLE, action, f"arn:aws:s3:::b/{key}"), [but], None).allowed

    assert allowed("s3:GetObject", "a")
    assert not allowed("s3:DeleteObject", "a")
    assert not allowed("s3:GetObject", "kept/a")


@pytest.mark.parametrize(
    ("condition", "value", "holds_then"),
    [
        ({"StringEquals": {"s3:prefix": ["a", "b"]}}, "b", True),
        ({"StringEquals": {"s3:prefix": "a*"}}, "ab", False),
        ({"StringLike": {"s3:prefix": "a?c"}}, "abc", True),
        ({"StringLike": {"s3:prefix": "a*"}}, None, False),
        ({"StringLikeIfExists": {"s3:prefix": "a*"}}, None, True),
        ({"StringLikeIfExists": {"s3:prefix": "a*"}}, "b", False),
        ({"StringNotEquals": {"s3:prefix": "a"}}, None, True),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, "b", False),
        ({"Null": {"s3:prefix": "true"}}, None, True),
        ({"Null": {"s3:prefix": True}}, "a", False),
        ({"NumericLessThan": {"s3:max-keys": 10}}, "9", True),
        ({"NumericLessThan": {"s3:max-keys": 10}}, "many", False),
        ({"Bool": {"aws:SecureTransport": "false"}}, None, False),
        ({"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/${*}"}}, None, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/re*"}}, None, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:role/re*"}}, None, False),
    ],
)
def test_conditions_hold_or_not(condition: dict[str, Any], value: str | None, holds_then: bool) -> None:
    facts = {} if value is None else {"s3:prefix": value, "s3:max-keys": value}
    call = Call.of(ROLE, "s3:ListBucket", "arn:aws:s3:::b", facts)

    (each,) = conditions_of(condition)
    assert holds(each, call) is holds_then


@pytest.mark.parametrize(
    ("operator", "tags", "holds_then"),
    [
        ("ForAllValues:StringEquals", ("team",), True),
        ("ForAllValues:StringEquals", ("team", "other"), False),
        ("ForAllValues:StringEquals", (), True),
        ("ForAnyValue:StringEquals", ("team", "other"), True),
        ("ForAnyValue:StringEquals", (), False),
    ],
)
def test_sets_of_values_are_compared_whole_or_in_part(operator: str, tags: tuple[str, ...], holds_then: bool) -> None:
    call = Call.of(ROLE, "bedrock:TagResource", MODEL, {"aws:TagKeys": tags} if tags else {})

    (each,) = conditions_of({operator: {"aws:TagKeys": ["team", "owner"]}})
    assert holds(each, call) is holds_then


@pytest.mark.parametrize("condition", [{"DateLessThan": {"aws:PrincipalArn": "x"}}, {"StringEquals": {"aws:New": "x"}}])
def test_what_nobody_can_answer_allows_nothing_forbids_and_is_told(
    condition: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    call = Call.of(ROLE, "s3:GetObject", "arn:aws:s3:::b/a")

    assert not decide(call, [policy(allow("s3:*", Condition=condition))], None).allowed
    assert not decide(call, [policy(allow("s3:*"), deny("s3:*", Condition=condition))], None).allowed
    assert "cannot answer" in caplog.text
    with pytest.raises(UnknownConditionError):
        holds(conditions_of(condition)[0], call)


def test_a_service_is_let_in_by_the_resource_alone_and_for_whom_it_says() -> None:
    lets_in = allow(
        "sqs:SendMessage",
        Principal={"Service": "events.amazonaws.com"},
        Condition={"ArnLike": {"aws:SourceArn": "arn:aws:events:*:123456789012:rule/*"}},
    )
    call = Call.of(RULE, "sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:lost")
    other = Call.of(Service(RULE.principal, KEY), call.action, call.resource)

    assert decide(call, [], policy(lets_in)).allowed
    assert not decide(other, [], policy(lets_in)).allowed
    assert not decide(call, [], None).allowed


def test_a_resource_may_forbid_what_a_role_may_and_even_what_the_account_may() -> None:
    shut = policy(deny("s3:*", Principal="*"))

    for caller in (ROLE, ACCOUNT):
        call = Call.of(caller, "s3:GetObject", "arn:aws:s3:::b/a")
        assert not decide(call, [policy(READS)], shut).allowed
        assert decide(call, [policy(READS)], None).allowed


def test_a_key_that_is_left_to_the_account_is_used_by_whom_the_account_allows() -> None:
    to_account = policy(allow("kms:*", Principal={"AWS": "arn:aws:iam::123456789012:root"}))
    to_role = policy(allow("kms:Decrypt", Principal={"AWS": ROLE.role_arn}))
    call = Call.of(ROLE, "kms:Decrypt", KEY)

    assert decide(call, [policy(allow("kms:Decrypt", KEY))], to_account).allowed
    assert decide(call, [], to_role).allowed
    assert not decide(call, [], to_account).allowed
    assert not decide(call, [policy(allow("kms:Decrypt", KEY))], policy()).allowed


def wanted(service: str, action: str, path: str = "/", **told: Any) -> list[tuple[str, str]]:
    return [(each, resource) for each, resource, _ in needed_by(Asked(service, action, path, told))]


def test_a_call_needs_what_its_service_asks_for() -> None:
    other = TABLE.replace("records", "other")
    items = [{"Put": {"TableName": "records"}}, {"ConditionCheck": {"TableName": "other"}}]
    queue = "arn:aws:sqs:us-east-1:123456789012:work"

    assert wanted("dynamodb", "Query", TableName="records", IndexName="due") == [
        ("dynamodb:Query", f"{TABLE}/index/due")
    ]
    assert wanted("dynamodb", "TransactWriteItems", TransactItems=items) == [
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:ConditionCheckItem", other),
    ]
    assert wanted("sqs", "SendMessageBatch", QueueUrl="http://x/123456789012/work") == [("sqs:SendMessage", queue)]
    assert wanted("lambda", "Invoke", "/2015-03-31/functions/plan/invocations") == [
        ("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:plan")
    ]
    assert wanted("bedrock", "Converse", f"/model/{MODEL}/converse") == [("bedrock:InvokeModel", MODEL)]
    assert wanted("bedrock", "DeleteImportedModel", f"/imported-models/{MODEL}") == [
        ("bedrock:DeleteImportedModel", MODEL)
    ]


def test_creating_an_import_job_needs_its_tags_and_its_role() -> None:
    tags = [{"key": "team", "value": "a"}]
    told = {"roleArn": ROLE.role_arn, "jobTags": tags, "importedModelTags": tags}

    needed = list(needed_by(Asked("bedrock", "CreateModelImportJob", "/model-import-jobs", told)))

    assert [action for action, _, _ in needed] == [
        "bedrock:CreateModelImportJob",
        "bedrock:TagResource",
        "bedrock:TagResource",
        "iam:PassRole",
    ]
    assert needed[0][2] == {"aws:RequestTag/team": "a", "aws:TagKeys": ("team",)}
    assert needed[-1][1:] == (ROLE.role_arn, {"iam:PassedToService": "bedrock.amazonaws.com"})


def test_a_call_that_nobody_knows_is_refused_and_not_waved_through() -> None:
    with pytest.raises(UnknownRequestError, match="route53:ListHostedZones"):
        wanted("route53", "ListHostedZones")
    with pytest.raises(UnknownRequestError, match="dynamodb:GetItem without 'TableName'"):
        wanted("dynamodb", "GetItem")


@pytest.fixture
def law() -> Iterator[None]:
    with ExitStack() as closing, mock_aws():
        authorization.install(closing)
        yield


@pytest.fixture
def keys(law: None) -> Session:
    """Give keys of a role that may put into the bucket `held` and delete below mine/."""
    iam = boto3.client("iam", region_name="us-east-1")
    made = iam.create_role(RoleName="writer", AssumeRolePolicyDocument="{}")["Role"]
    may = [allow("s3:PutObject", "arn:aws:s3:::held/*"), allow("s3:DeleteObject", "arn:aws:s3:::held/mine/*")]
    document = json.dumps({"Version": "2012-10-17", "Statement": may})
    iam.put_role_policy(RoleName="writer", PolicyName="own", PolicyDocument=document)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="held")
    return sessions.of_role(made["Arn"], "test")


def client_of(session: Session, service: str) -> Any:
    credentials = session.credentials
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("s3", "list_objects_v2", {"Bucket": "held"}, "AccessDenied", 403),
        ("dynamodb", "get_item", {"TableName": "t", "Key": {"pk": {"S": "a"}}}, "AccessDeniedException", 400),
        ("sqs", "send_message", {"QueueUrl": "https://x/123456789012/q", "MessageBody": "a"}, "AccessDenied", 403),
        ("sns", "publish", {"TopicArn": TOPIC, "Message": "a"}, "AuthorizationError", 403),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException", 403),
        ("stepfunctions", "describe_execution", {"executionArn": EXECUTION}, "AccessDeniedException", 400),
        ("secretsmanager", "get_secret_value", {"SecretId": "s"}, "AccessDeniedException", 400),
    ],
)  # fmt: skip
def test_each_service_refuses_in_its_own_words(
    keys: Session, service: str, operation: str, parameters: dict[str, Any], code: str, status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with pytest.raises(ClientError) as refused:
        getattr(client_of(keys, service), operation)(**parameters)

    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert "assumed-role/writer/test is not authorized to perform: " in answer["Error"]["Message"]
    assert "Refused: writer may not " in caplog.text


def test_a_policy_that_changes_holds_at_once(keys: Session) -> None:
    s3 = client_of(keys, "s3")
    s3.put_object(Bucket="held", Key="a", Body=b"")

    boto3.client("iam", region_name="us-east-1").delete_role_policy(RoleName="writer", PolicyName="own")

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket="held", Key="a", Body=b"")


def test_who_may_not_list_is_not_told_that_an_object_is_missing(keys: Session) -> None:
    iam = boto3.client("iam", region_name="us-east-1")
    read, listed = allow("s3:GetObject", "arn:aws:s3:::held/*"), allow("s3:ListBucket", "arn:aws:s3:::held")

    for statements, code in (([read], "AccessDenied"), ([read, listed], "NoSuchKey")):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName="writer", PolicyName="own", PolicyDocument=document)
        with pytest.raises(ClientError) as refused:
            client_of(keys, "s3").get_object(Bucket="held", Key="nowhere")
        assert refused.value.response["Error"]["Code"] == code


def test_a_prefix_may_be_asked_of_a_list_of_objects_and_of_no_list_of_uploads(keys: Session) -> None:
    iam = boto3.client("iam", region_name="us-east-1")
    within = {"StringLike": {"s3:prefix": "mine/*"}}
    actions = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"]
    s3, asked = client_of(keys, "s3"), {"Bucket": "held", "Prefix": "mine/a"}

    for condition in (within, {}):
        statement = allow(actions, "arn:aws:s3:::held", Condition=condition)
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName="writer", PolicyName="own", PolicyDocument=document)
        s3.list_objects_v2(**asked)
        s3.list_object_versions(**asked)
        if condition:  # an account has no such key for this action, so that the condition never holds
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.list_multipart_uploads(**asked)
    s3.list_multipart_uploads(**asked)


def test_nor_that_what_is_to_be_copied_is_missing(keys: Session) -> None:
    iam = boto3.client("iam", region_name="us-east-1")
    copy = allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::held/*")
    listed = allow("s3:ListBucket", "arn:aws:s3:::held")

    for statements, code in (([copy], "AccessDenied"), ([copy, listed], "NoSuchKey")):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName="writer", PolicyName="own", PolicyDocument=document)
        with pytest.raises(ClientError) as refused:
            client_of(keys, "s3").copy_object(Bucket="held", Key="copy", CopySource="held/nowhere")
        assert refused.value.response["Error"]["Code"] == code


def test_of_many_objects_those_are_deleted_that_may_be(keys: Session) -> None:
    s3 = client_of(keys, "s3")
    for key in ("mine/a", "theirs/a"):
        s3.put_object(Bucket="held", Key=key, Body=b"")

    told = s3.delete_objects(Bucket="held", Delete={"Objects": [{"Key": "mine/a"}, {"Key": "theirs/a"}]})

    assert [each["Key"] for each in told["Deleted"]] == ["mine/a"]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("theirs/a", "AccessDenied")]


def test_keys_are_good_for_their_time_and_no_longer(keys: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time() + sessions.SESSION_SECONDS
    assert keys.lasts(900)

    monkeypatch.setattr("local.authorization.sessions.time.time", lambda: later)

    assert not keys.lasts(0)
    with pytest.raises(ClientError, match="ExpiredToken"):
        client_of(keys, "s3").put_object(Bucket="held", Key="a", Body=b"")


def test_what_lives_long_gets_new_keys_in_time(keys: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = sessions.Keyring()
    role = str(keys.caller.role_arn) if isinstance(keys.caller, Role) else ""
    first = keyring.of_role(role, "states")
    later = time.time() + sessions.SESSION_SECONDS - 60

    assert keyring.of_role(role, "states") is first
    monkeypatch.setattr("local.authorization.sessions.time.time", lambda: later)
    assert keyring.of_role(role, "states").credentials != first.credentials
