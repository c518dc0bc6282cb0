"""What the stack keeps is encrypted, closed and forgotten in time; without any one of these, a rule says so."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture import protection_rules as rules
from tests.architecture.template_rules import Template
from tools import cloudformation

TEXT = cloudformation.TEMPLATE.read_text()
KEY = "!If [MakesKey, !GetAtt Key.Arn, !Ref KmsKeyArn]"


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_template(rule: Callable[[Template], Iterator[str]]) -> None:
    assert list(rule(Template(TEXT))) == []


@pytest.mark.parametrize(
    ("rule", "found", "put"),
    [
        (rules.encrypts_all_that_it_keeps, f", SSEType: KMS, KMSMasterKeyId: {KEY}", ""),
        (rules.encrypts_all_that_it_keeps, f"KMSMasterKeyID: {KEY}", "KMSMasterKeyID: alias/aws/s3"),
        (rules.encrypts_all_that_it_keeps, "BucketKeyEnabled: true", "BucketKeyEnabled: false"),
        (rules.encrypts_all_that_it_keeps, f"KmsMasterKeyId: {KEY}", "KmsMasterKeyId: alias/aws/sqs"),
        (rules.encrypts_all_that_it_keeps, f"      KmsKeyId: {KEY}\n", ""),
        (rules.passes_its_key_on, f"        KMS_KEY_ARN: {KEY}\n", ""),
        (rules.makes_a_key_that_turns_and_stays, "EnableKeyRotation: true", "EnableKeyRotation: false"),
        (
            rules.makes_a_key_that_turns_and_stays,
            "Condition: MakesKey\n    DeletionPolicy: RetainExceptOnCreate",
            "Condition: MakesKey",
        ),
        (rules.makes_a_key_that_turns_and_stays, "cloudwatch.amazonaws.com, events.amazonaws.com", "s3.amazonaws.com"),
        (rules.makes_a_key_that_turns_and_stays, "log-group:/aws/vendedlogs/states/", "log-group:/elsewhere/"),
        (
            rules.makes_a_key_that_turns_and_stays,
            "            Condition: {StringEquals: {aws:SourceAccount: !Ref AWS::AccountId}}\n          - Sid: Logs",
            "          - Sid: Logs",
        ),
        (rules.closes_every_bucket, "RestrictPublicBuckets: true", "RestrictPublicBuckets: false"),
        (rules.closes_every_bucket, 'aws:SecureTransport: "false"', 'aws:SecureTransport: "true"'),
        (rules.closes_every_bucket, 's3:TlsVersion: "1.2"', 's3:TlsVersion: "1.0"'),
        (rules.closes_every_bucket, '{s3:x-amz-server-side-encryption: "false"}', "{}"),
        (rules.closes_every_bucket, f"key-id: {KEY}", "key-id: anything"),
        (rules.keeps_queues_and_topics_to_tls, "Queues: [!Ref InvocationQueue]", "Queues: []"),
        (rules.keeps_queues_and_topics_to_tls, "Topics: [!Ref NotificationTopic]", "Topics: []"),
        (
            rules.lets_alarms_tell,
            "Principal: {Service: cloudwatch.amazonaws.com}",
            "Principal: {Service: s3.amazonaws.com}",
        ),
        (rules.logs_neither_inputs_nor_queries, "IncludeExecutionData: false", "IncludeExecutionData: true"),
        (rules.logs_neither_inputs_nor_queries, "Level: ERROR", "Level: 'OFF'"),
        (rules.logs_neither_inputs_nor_queries, "$context.resourcePath", "$context.path"),
        (rules.logs_neither_inputs_nor_queries, "DestinationArn: !GetAtt AccessLogGroup.Arn", "DestinationArn: ''"),
        (rules.goes_into_a_vpc_only_when_asked, "      - InVpc\n", "      - MakesKey\n"),
        (rules.goes_into_a_vpc_only_when_asked, "        - !Ref SweepRole\n", ""),
    ],
)
def test_a_rule_finds_what_is_missing(rule: Callable[[Template], Iterator[str]], found: str, put: str) -> None:
    assert found in TEXT

    assert list(rule(Template(TEXT.replace(found, put, 1))))
