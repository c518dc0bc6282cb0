"""What is asked: one action on one resource by one caller, with everything that conditions may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.authorization.callers import Caller, Role, Service
from local.identity import ACCOUNT_ID, REGION

# What a condition may ask about any call. Keys compare without case.
_OF_EVERY_CALL = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principaltype",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:securetransport",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceowner",
    }
)
# … and about calls of one service. A key that ends in / or : stands for all that begin so.
_OF_SERVICE: Mapping[str, frozenset[str]] = {
    "application-autoscaling": frozenset(
        {
            "application-autoscaling:scalable-dimension",
            "application-autoscaling:service-namespace",
            "aws:requesttag/",
        }
    ),
    "bedrock": frozenset({"aws:requesttag/", "aws:resourcetag/", "aws:tagkeys"}),
    "cloudwatch": frozenset({"aws:requesttag/", "aws:resourcetag/", "aws:tagkeys", "cloudwatch:namespace"}),
    "iam": frozenset({"iam:awsservicename", "iam:passedtoservice"}),
    "kms": frozenset({"kms:calleraccount", "kms:encryptioncontext:", "kms:viaservice"}),
    "sagemaker": frozenset({"aws:requesttag/", "aws:resourcetag/", "aws:tagkeys", "sagemaker:instancetypes"}),
    "s3": frozenset(
        {
            "s3:delimiter",
            "s3:max-keys",
            "s3:prefix",
            "s3:tlsversion",
            "s3:x-amz-server-side-encryption",
            "s3:x-amz-server-side-encryption-aws-kms-key-id",
        }
    ),
}

Values = tuple[str, ...]
Facts = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Call:
    """One action as IAM sees it: an API call is one or more of them."""

    caller: Caller
    action: str
    resource: str
    facts: tuple[tuple[str, Values], ...] = ()

    @classmethod
    def of(cls, caller: Caller, action: str, resource: str, facts: Facts | None = None) -> Call:
        """Give a call with the facts that every call has beside its own."""
        told: dict[str, str | Sequence[str]] = {
            "aws:SecureTransport": "true",  # the embedded cloud is on loopback: every call counts as one over TLS
            "aws:RequestedRegion": REGION,
            "aws:ResourceAccount": ACCOUNT_ID,
            **_about(caller),
            **({"s3:TlsVersion": "1.3"} if action.startswith("s3:") else {}),
            **(facts or {}),
        }
        values = {key.lower(): (value,) if isinstance(value, str) else tuple(value) for key, value in told.items()}
        return cls(caller, action, resource, tuple(sorted(values.items())))

    def fact(self, key: str) -> Values | None:
        """Give what is known under a condition's key; None where this call has no such thing."""
        return dict(self.facts).get(key.lower())

    def knows(self, key: str) -> bool:
        """Say whether the embedded cloud could answer for a condition's key at all."""
        key = key.lower()
        known = _OF_EVERY_CALL | _OF_SERVICE.get(self.action.partition(":")[0], frozenset())
        return key in known or any(key.startswith(each) for each in known if each[-1] in "/:")


def _about(caller: Caller) -> Facts:
    match caller:
        case Role():
            return {
                "aws:PrincipalArn": caller.role_arn,
                "aws:PrincipalAccount": ACCOUNT_ID,
                "aws:PrincipalType": "AssumedRole",
                "aws:PrincipalIsAWSService": "false",
            }
        case Service():
            return {
                "aws:SourceArn": caller.source_arn,
                "aws:SourceAccount": ACCOUNT_ID,
                "aws:PrincipalIsAWSService": "true",
            }
        case _:
            return {
                "aws:PrincipalArn": caller.arn,
                "aws:PrincipalAccount": ACCOUNT_ID,
                "aws:PrincipalType": "Account",
                "aws:PrincipalIsAWSService": "false",
            }
