"""Queues, topics, rules and schedules."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from local.cloudformation.resource import DeploymentError, Properties, StackResource, document, names


def _texts(properties: Properties, names: frozenset[str]) -> dict[str, str]:
    """Give the named properties as SQS and SNS take attributes: everything is text."""
    chosen = {key: value for key, value in properties.items() if key in names}
    return {key: json.dumps(value) if not isinstance(value, str) else value for key, value in chosen.items()}


class Queue(StackResource):
    """An SQS queue."""

    type_name = "AWS::SQS::Queue"
    name_property = "QueueName"
    _attributes = names(
        "ContentBasedDeduplication DeduplicationScope DelaySeconds FifoQueue FifoThroughputLimit KmsMasterKeyId "
        "MaximumMessageSize MessageRetentionPeriod ReceiveMessageWaitTimeSeconds RedriveAllowPolicy RedrivePolicy "
        "SqsManagedSseEnabled VisibilityTimeout"
    )
    properties = _attributes | {"QueueName", "Tags"}

    def create(self, name: str, properties: Properties) -> None:
        """Make the queue."""
        tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        wanted = {"QueueName": name[:80], "Attributes": _texts(properties, self._attributes), "Tags": tags}
        url = self.call("sqs", "CreateQueue", wanted)["QueueUrl"]
        answer = self.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["QueueArn"]})
        self.physical_resource_id = url
        self.attributes = {"Arn": answer["Attributes"]["QueueArn"], "QueueName": name[:80], "QueueUrl": url}


class QueuePolicy(StackResource):
    """Who may send to and receive from queues."""

    type_name = "AWS::SQS::QueuePolicy"
    properties = frozenset({"PolicyDocument", "Queues"})

    def create(self, name: str, properties: Properties) -> None:
        """Put the policy on each queue."""
        policy = document(properties["PolicyDocument"])
        for url in properties["Queues"]:
            self.call("sqs", "SetQueueAttributes", {"QueueUrl": url, "Attributes": {"Policy": policy}})
        self.physical_resource_id = name


class Topic(StackResource):
    """An SNS topic with its inline subscriptions."""

    type_name = "AWS::SNS::Topic"
    name_property = "TopicName"
    _attributes = names("ContentBasedDeduplication DisplayName FifoTopic KmsMasterKeyId SignatureVersion TracingConfig")
    properties = _attributes | {"Subscription", "Tags", "TopicName"}

    def create(self, name: str, properties: Properties) -> None:
        """Make the topic."""
        attributes = _texts(properties, self._attributes)
        wanted = {"Name": name, "Attributes": attributes, "Tags": properties.get("Tags", [])}
        arn = self.call("sns", "CreateTopic", wanted)["TopicArn"]
        for subscription in properties.get("Subscription", []):
            self.call("sns", "Subscribe", {"TopicArn": arn, **subscription})
        self.physical_resource_id = arn
        self.attributes = {"TopicArn": arn, "TopicName": name}


class Subscription(StackResource):
    """A subscription of its own."""

    type_name = "AWS::SNS::Subscription"
    _attributes = names("FilterPolicy FilterPolicyScope RawMessageDelivery RedrivePolicy")
    properties = _attributes | {"Endpoint", "Protocol", "TopicArn"}

    def create(self, name: str, properties: Properties) -> None:  # noqa: ARG002 - SNS gives it an ARN
        """Subscribe."""
        parameters = {key: value for key, value in properties.items() if key not in self._attributes}
        attributes = _texts(properties, self._attributes)
        wanted = {**parameters, "Attributes": attributes, "ReturnSubscriptionArn": True}
        self.physical_resource_id = self.call("sns", "Subscribe", wanted)["SubscriptionArn"]
        self.attributes = {"Arn": self.physical_resource_id}


class TopicPolicy(StackResource):
    """Who may publish to topics."""

    type_name = "AWS::SNS::TopicPolicy"
    properties = frozenset({"PolicyDocument", "Topics"})

    def create(self, name: str, properties: Properties) -> None:
        """Put the policy on each topic."""
        policy = {"AttributeName": "Policy", "AttributeValue": document(properties["PolicyDocument"])}
        for arn in properties["Topics"]:
            self.call("sns", "SetTopicAttributes", {"TopicArn": arn, **policy})
        self.physical_resource_id = name


class Rule(StackResource):
    """An EventBridge rule, by pattern or by schedule, with its targets."""

    type_name = "AWS::Events::Rule"
    name_property = "Name"
    _passed_on = names("Description EventBusName RoleArn ScheduleExpression State")
    properties = _passed_on | {"EventPattern", "Name", "Targets"}

    def create(self, name: str, properties: Properties) -> None:
        """Put the rule, then its targets."""
        wanted: dict[str, Any] = {key: properties[key] for key in self._passed_on & set(properties)}
        if "EventPattern" in properties:
            wanted["EventPattern"] = document(properties["EventPattern"])
        arn = self.call("events", "PutRule", {"Name": name[:64], **wanted})["RuleArn"]
        if properties.get("Targets"):
            self._put_targets(name[:64], properties)
        self.physical_resource_id = name[:64]
        self.attributes = {"Arn": arn}

    def _put_targets(self, name: str, properties: Properties) -> None:
        bus = {"EventBusName": properties["EventBusName"]} if "EventBusName" in properties else {}
        answer = self.call("events", "PutTargets", {"Rule": name, "Targets": properties["Targets"], **bus})
        if answer["FailedEntryCount"]:
            raise DeploymentError(f"{self.logical_id}: targets were refused: {answer['FailedEntries']}")


class Schedule(StackResource):
    """A schedule of EventBridge Scheduler."""

    type_name = "AWS::Scheduler::Schedule"
    name_property = "Name"
    properties = names(
        "Description EndDate FlexibleTimeWindow GroupName KmsKeyArn Name ScheduleExpression "
        "ScheduleExpressionTimezone StartDate State Target"
    )

    def create(self, name: str, properties: Properties) -> None:
        """Make the schedule."""
        arn = self.call("scheduler", "CreateSchedule", {**properties, "Name": name[:64]})["ScheduleArn"]
        self.physical_resource_id = name[:64]
        self.attributes = {"Arn": arn}


class ScheduleGroup(StackResource):
    """A group of schedules."""

    type_name = "AWS::Scheduler::ScheduleGroup"
    name_property = "Name"
    properties: ClassVar[frozenset[str]] = frozenset({"Name", "Tags"})

    def create(self, name: str, properties: Properties) -> None:
        """Make the group."""
        arn = self.call("scheduler", "CreateScheduleGroup", {**properties, "Name": name})["ScheduleGroupArn"]
        self.physical_resource_id = name
        self.attributes = {"Arn": arn}


TYPES = (Queue, QueuePolicy, Topic, Subscription, TopicPolicy, Rule, Schedule, ScheduleGroup)
