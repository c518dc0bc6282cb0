"""Logs, alarms and budgets."""

from __future__ import annotations

from local.cloudformation.resource import Properties, StackResource, names
from local.identity import ACCOUNT_ID, REGION


class LogGroup(StackResource):
    """A log group with its retention."""

    type_name = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"
    properties = names("KmsKeyId LogGroupClass LogGroupName RetentionInDays Tags")

    def create(self, name: str, properties: Properties) -> None:
        """Make the group."""
        rest = dict(properties)
        retention, tags = rest.pop("RetentionInDays", None), rest.pop("Tags", [])
        named = {**rest, "LogGroupName": name, "Tags": {tag["Key"]: tag["Value"] for tag in tags}}
        self.call("logs", "CreateLogGroup", named)
        if retention is not None:
            self.call("logs", "PutRetentionPolicy", {"LogGroupName": name, "RetentionInDays": retention})
        self.physical_resource_id = name
        self.attributes = {"Arn": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{name}:*"}


class MetricFilter(StackResource):
    """A metric made of log lines."""

    type_name = "AWS::Logs::MetricFilter"
    name_property = "FilterName"
    properties = names("FilterName FilterPattern LogGroupName MetricTransformations")

    def create(self, name: str, properties: Properties) -> None:
        """Put the filter."""
        self.call("logs", "PutMetricFilter", {**properties, "FilterName": name})
        self.physical_resource_id = name


class Alarm(StackResource):
    """An alarm on a metric."""

    type_name = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"
    properties = names(
        "ActionsEnabled AlarmActions AlarmDescription AlarmName ComparisonOperator DatapointsToAlarm Dimensions "
        "EvaluateLowSampleCountPercentile EvaluationPeriods ExtendedStatistic InsufficientDataActions MetricName "
        "Metrics Namespace OKActions Period Statistic Tags Threshold ThresholdMetricId TreatMissingData Unit"
    )

    def create(self, name: str, properties: Properties) -> None:
        """Put the alarm."""
        self.call("cloudwatch", "PutMetricAlarm", {**properties, "AlarmName": name})
        self.physical_resource_id = name
        self.attributes = {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{name}"}


class CompositeAlarm(StackResource):
    """An alarm on other alarms."""

    type_name = "AWS::CloudWatch::CompositeAlarm"
    name_property = "AlarmName"
    properties = names(
        "ActionsEnabled AlarmActions AlarmDescription AlarmName AlarmRule InsufficientDataActions OKActions"
    )

    def create(self, name: str, properties: Properties) -> None:
        """Put the alarm."""
        self.call("cloudwatch", "PutCompositeAlarm", {**properties, "AlarmName": name})
        self.physical_resource_id = name
        self.attributes = {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{name}"}


class Budget(StackResource):
    """A budget with its notifications."""

    type_name = "AWS::Budgets::Budget"
    properties = frozenset({"Budget", "NotificationsWithSubscribers"})

    def create(self, name: str, properties: Properties) -> None:
        """Make the budget."""
        budget = {"BudgetName": name, **properties["Budget"]}
        self.call("budgets", "CreateBudget", {**properties, "AccountId": ACCOUNT_ID, "Budget": budget})
        self.physical_resource_id = budget["BudgetName"]


TYPES = (LogGroup, MetricFilter, Alarm, CompositeAlarm, Budget)
