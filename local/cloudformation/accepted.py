"""What of a template the embedded cloud carries out by moto alone, and what it accepts without carrying out.

Everything else is refused by name: nothing in a template may be dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping

from local.cloudformation.resource import names

# Resource types left to moto's own CloudFormation, with the properties of theirs that it really applies.
BY_MOTO: Mapping[str, frozenset[str]] = {
    "AWS::IAM::ManagedPolicy": names("Description ManagedPolicyName Path PolicyDocument Roles"),
    "AWS::IAM::Policy": names("PolicyDocument PolicyName Roles"),
    "AWS::KMS::Key": names("Description EnableKeyRotation Enabled KeyPolicy KeySpec KeyUsage PendingWindowInDays Tags"),
    "AWS::KMS::Alias": names("AliasName TargetKeyId"),
    "AWS::SSM::Parameter": names("AllowedPattern Description Name Tags Tier Type Value"),
    "AWS::Events::EventBus": names("EventSourceName Name"),
    "AWS::CloudWatch::Dashboard": names("DashboardBody DashboardName"),
}

# Accepted, and without effect here: a type, or one property of a type, with the reason.
WITHOUT_EFFECT: Mapping[str, str] = {
    "AWS::ApiGateway::Account": "its role lets the real gateway write logs; the local one has none to write",
    "AWS::ApiGateway::GatewayResponse": "the local gateway's own answers have fixed bodies",
    "AWS::ApiGateway::Stage.AccessLogSetting": "the local gateway writes no access log",
    "AWS::ApiGateway::Stage.MethodSettings": "nobody throttles or caches on a loopback address",
    "AWS::ApiGateway::Stage.Tags": "nobody bills a local stage",
    "AWS::Events::Rule.Tags": "nobody bills or lists a local rule by its tags",
    "AWS::Lambda::Function.VpcConfig": "workers share this machine's network",
    "AWS::Lambda::Version.Metadata": "only the translator reads it",
    "AWS::Logs::LogGroup.DeletionProtectionEnabled": "a local log group ends with its cloud",
    "AWS::XRay::Group": "there is no X-Ray here; tracing stays off in the workers",
}
