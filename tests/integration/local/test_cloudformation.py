"""Every resource of the sample exists as its template says, also where moto's own CloudFormation would not."""

import json
from pathlib import Path

from moto.s3.models import s3_backends

from local.cloud import Cloud
from local.cloudformation import OUR_TYPES
from local.cloudformation.accepted import BY_MOTO, WITHOUT_EFFECT
from local.sam import translate

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"


def test_every_resource_is_there_but_for_those_whose_condition_is_false(cloud: Cloud) -> None:
    wanted = set(translate(SAMPLE)["Resources"])

    assert set(cloud.resources) == wanted - {"ExtraTopic"}


def test_a_parameter_turns_a_condition_on(cloud: Cloud) -> None:
    cloud.stop()

    with Cloud(SAMPLE, stack_name="extra", parameters={"WithExtra": "yes"}) as with_extra:
        there = "ExtraTopic" in with_extra.resources

    cloud.start()
    assert there


def test_the_table_has_its_index_time_to_live_backups_and_tags(cloud: Cloud) -> None:
    tables, name = cloud.client("dynamodb"), cloud.resources["Table"]

    table = tables.describe_table(TableName=name)["Table"]
    ttl = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = tables.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    tags = tables.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]

    assert table["GlobalSecondaryIndexes"][0]["IndexName"] == "due"
    assert table["SSEDescription"]["Status"] == "ENABLED"
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert {"Key": "project", "Value": "sample"} in tags


def test_the_bucket_has_everything_that_its_template_says(cloud: Cloud) -> None:
    s3, name = cloud.client("s3"), cloud.resources["Bucket"]

    assert name == "sample-artifacts-123456789012"
    assert s3_backends["123456789012"]["aws"].get_bucket(name).notification_configuration.event_bridge == {}
    assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    encryption = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert rules["parts"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["bodies"]["Expiration"] == {"Days": 7}
    assert rules["bodies"]["Filter"] == {"Prefix": "bodies/"}
    policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    assert policy["Statement"][0]["Resource"] == f"arn:aws:s3:::{name}/*"
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "project", "Value": "sample"}]


def test_queues_have_their_redrive_and_their_policy(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")

    queue = sqs.get_queue_attributes(QueueUrl=cloud.resources["Queue"], AttributeNames=["All"])["Attributes"]
    letters = sqs.get_queue_attributes(QueueUrl=cloud.resources["DeadLetters"], AttributeNames=["All"])["Attributes"]

    assert queue["VisibilityTimeout"] == "90"
    assert json.loads(queue["RedrivePolicy"])["deadLetterTargetArn"] == letters["QueueArn"]
    assert "events.amazonaws.com" in letters["Policy"]


def test_the_topic_has_its_policy_and_its_raw_subscription(cloud: Cloud) -> None:
    sns, arn = cloud.client("sns"), cloud.resources["Topic"]

    topic = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    subscription = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"][0]["SubscriptionArn"]

    assert topic["DisplayName"] == "News"
    assert "cloudwatch.amazonaws.com" in topic["Policy"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert attributes["RawMessageDelivery"] == "true"


def test_the_function_has_what_moto_alone_would_drop(cloud: Cloud) -> None:
    functions = cloud.client("lambda")

    config = functions.get_function_configuration(FunctionName="sample-work")
    events = functions.get_function_event_invoke_config(FunctionName="sample-work")
    mapping = functions.list_event_source_mappings()["EventSourceMappings"][0]
    policy = json.loads(functions.get_policy(FunctionName="sample-work")["Policy"])

    assert len(config["Layers"]) == 2
    assert config["Architectures"] == ["arm64"]
    assert config["TracingConfig"] == {"Mode": "Active"}
    assert ":sample-DeadLetters-" in config["DeadLetterConfig"]["TargetArn"]
    assert functions.get_function_concurrency(FunctionName="sample-work")["ReservedConcurrentExecutions"] == 2
    assert events["MaximumRetryAttempts"] == 1
    assert events["DestinationConfig"]["OnFailure"]["Destination"] == cloud.resources["Topic"]
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert {statement["Principal"]["Service"] for statement in policy["Statement"]} == {"events.amazonaws.com"}


def test_the_state_machine_is_where_it_executes_with_its_substitutions(cloud: Cloud) -> None:
    machine = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=cloud.outputs["GreetArn"])

    assert machine["name"] == "sample-greet"
    assert machine["loggingConfiguration"]["level"] == "ERROR"
    arn = json.loads(machine["definition"])["States"]["DoWork"]["Resource"]
    assert arn == "arn:aws:lambda:us-east-1:123456789012:function:sample-work"


def test_rules_and_schedules_have_their_targets(cloud: Cloud) -> None:
    events = cloud.client("events")

    uploads = events.list_targets_by_rule(Rule=cloud.resources["WorkUploads"])["Targets"][0]
    nightly = events.list_targets_by_rule(Rule=cloud.resources["WorkNightly"])["Targets"][0]
    watch = json.loads(events.describe_rule(Name=cloud.resources["Watch"])["EventPattern"])
    hourly = cloud.client("scheduler").get_schedule(Name=cloud.resources["WorkHourly"])

    assert uploads["RetryPolicy"]["MaximumRetryAttempts"] == 2
    assert "DeadLetterConfig" in uploads
    assert nightly["Input"] == '{"do": "nightly"}'
    assert watch["detail"]["stateMachineArn"] == [cloud.resources["Greet"]]
    assert hourly["ScheduleExpression"] == "rate(1 hour)"


def test_secrets_logs_filters_and_alarms_are_as_written(cloud: Cloud) -> None:
    secrets, logs = cloud.client("secretsmanager"), cloud.client("logs")

    given = secrets.get_secret_value(SecretId=cloud.resources["Secret"])["SecretString"]
    generated = json.loads(secrets.get_secret_value(SecretId=cloud.resources["Generated"])["SecretString"])
    group = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/sample-work")["logGroups"][0]
    metric = logs.describe_metric_filters(logGroupName="/aws/lambda/sample-work")["metricFilters"][0]
    alarm = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"][0]

    assert json.loads(given) == {"token": ""}
    assert generated["user"] == "x"
    assert len(generated["password"]) == 20
    assert group["retentionInDays"] == 14
    assert metric["metricTransformations"][0]["metricName"] == "errors"
    assert alarm["AlarmActions"] == [cloud.resources["Topic"]]
    assert alarm["TreatMissingData"] == "notBreaching"


def test_roles_have_their_trust_and_their_policies(cloud: Cloud) -> None:
    iam = cloud.client("iam")

    role = iam.get_role(RoleName="sample-import")["Role"]
    policy = iam.get_role_policy(RoleName="sample-import", PolicyName="read")["PolicyDocument"]

    trust = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert policy["Statement"][0]["Resource"] == "arn:aws:s3:::sample-artifacts-123456789012/*"


def test_outputs_are_resolved(cloud: Cloud) -> None:
    assert cloud.outputs["TableName"] == "sample-table"
    assert cloud.outputs["ApiUrl"].endswith(".execute-api.us-east-1.amazonaws.com/v1")


def test_no_type_is_both_ours_and_motos_and_every_exception_has_its_reason() -> None:
    assert not set(OUR_TYPES) & set(BY_MOTO)
    assert all(reason for reason in WITHOUT_EFFECT.values())
