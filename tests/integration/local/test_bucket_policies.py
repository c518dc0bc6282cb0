"""Bucket policies: moto ignores conditions, so a rule about calls without TLS would refuse every call."""

import json
from contextlib import ExitStack

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local import authorization

DENY = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::held", "arn:aws:s3:::held/*"]}


def put_under(statement: dict[str, object], **asked: str) -> None:
    with ExitStack() as closing, mock_aws():
        authorization.install(closing)
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        s3.create_bucket(Bucket="held")
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket="held", Policy=json.dumps(policy))

        s3.create_multipart_upload(Bucket="held", Key="weights", **asked)
        s3.put_object(Bucket="held", Key="config.json", Body=b"{}", **asked)


def test_a_rule_about_calls_without_tls_does_not_refuse_a_call_that_counts_as_one_over_tls() -> None:
    put_under({**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false"}}})


def test_every_other_rule_still_holds() -> None:
    with pytest.raises(ClientError, match=r"Forbidden|AccessDenied|403"):
        put_under(DENY)


OURS = "arn:aws:kms:us-east-1:123456789012:key/ours"
SSE = "s3:x-amz-server-side-encryption"
NO_OTHER_KEY = {
    **DENY,
    "Action": "s3:PutObject",
    "Condition": {"Null": {SSE: "false"}, "StringNotEquals": {f"{SSE}-aws-kms-key-id": OURS}},
}


@pytest.mark.parametrize("asked", [{}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": OURS}])
def test_an_upload_that_names_no_encryption_or_the_right_one_is_taken(asked: dict[str, str]) -> None:
    put_under(NO_OTHER_KEY, **asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/theirs"},
    ],
)
def test_an_upload_that_names_another_encryption_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ClientError, match=r"Forbidden|AccessDenied|403"):
        put_under(NO_OTHER_KEY, **asked)
