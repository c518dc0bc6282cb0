"""Put every policy of the translated template through parliament: those of roles and those of resources.

Run by the environment that has parliament. It judges policies with the account's names in them, and no account is
here to resolve them: stand-ins of the right form take their place.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parliament import analyze_policy_string, enhance_finding

ACCOUNT = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "pilotlight",
    "AWS::URLSuffix": "amazonaws.com",
}
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:123456789012:table/{}",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
    "AWS::KMS::Key": "arn:aws:kms:us-east-1:123456789012:key/{}",
    "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:123456789012:function:{}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": "arn:aws:sns:us-east-1:123456789012:{}",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:{}",
    "AWS::SSM::Parameter": "arn:aws:ssm:us-east-1:123456789012:parameter/{}",
    "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x",  # pragma: allowlist secret
    "AWS::StepFunctions::StateMachine": "arn:aws:states:us-east-1:123456789012:stateMachine:{}",
}
NAMED_BY_ARN = {"AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::StepFunctions::StateMachine"}
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")

# What parliament finds and is right all the same: the kind of finding, a part of what it says, and why.
ACCEPTED = (
    ("MISMATCHED_TYPE", "s3:TlsVersion", "IAM compares a number that is written as text"),
    ("UNKNOWN_CONDITION_FOR_ACTION", "s3:TlsVersion", "the key is of every call to S3"),
    ("MISMATCHED_TYPE_BUT_USABLE", "StringNotEquals requires", "a bucket's key is compared letter by letter"),
    ("MISMATCHED_TYPE", "ArnEquals requires a value of type Arn", "the encryption context of a log group is its ARN"),
    (
        "UNKNOWN_CONDITION_FOR_ACTION",
        "kms:EncryptionContext:aws:logs:arn",
        "never met by DescribeKey, which none needs",
    ),
    ("RESOURCE_MISMATCH", "arn:*:states:*:*:express", "executions here are Standard, whose ARN is the other form"),
    ("RESOURCE_MISMATCH", "'arn:*:states:*:*:mapRun", "executions of a machine are listed, not those of a map run"),
    ("RESOURCE_MISMATCH", "servicequotas:GetServiceQuota", "a quota is a resource by now"),
    ("RESOURCE_MISMATCH", "bedrock:ListTagsForResource", "one kind of resource is meant of the many that have tags"),
    ("RESOURCE_MISMATCH", "bedrock:TagResource", "one kind of resource is meant of the many that have tags"),
    ("RESOURCE_MISMATCH", "bedrock:InvokeModel", "imported models alone are meant of all that can be invoked"),
    ("RESOURCE_MISMATCH", "s3:GetObjectAttributes", "objects are read from the bucket, not through an access point"),
    ("RESOURCE_MISMATCH", "ec2:CreateNetworkInterface", "each of its kinds of resource has a statement of its own"),
    ("RESOURCE_MISMATCH", "sagemaker:CreateEndpoint'", "each of its kinds of resource has a statement of its own"),
    ("RESOURCE_MISMATCH", "sagemaker:CreateInferenceComponent'", "each of its kinds of resource has its own statement"),
)
# In the policy of a key, or of whom a role trusts, `*` is that key or role.
OF_A_RESOURCE = ("KeyPolicy", "trust")

Resources = Mapping[str, Mapping[str, Any]]


def main(path: str) -> int:
    """Return 0 when parliament finds nothing in the template's policies, else 1 with all that it found."""
    resources = json.loads(Path(path).read_text())["Resources"]
    judged, found = 0, []
    for name, document in policies(resources):
        judged += 1
        found += [f"{name}: {finding}" for finding in findings(name, resolved(document, resources))]
    if not judged:
        found.append(f"{path} has no policies to judge.")
    print("\n".join(found) if found else f"parliament: {judged} policies")
    return 1 if found else 0


def policies(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy document with the name of what it belongs to."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        for key in ("PolicyDocument", "KeyPolicy"):
            if key in properties:
                yield f"{name}.{key}", properties[key]
        if trust := properties.get("AssumeRolePolicyDocument"):
            # a trust policy's resource is its role, which goes without saying; not to parliament
            yield f"{name}.trust", {**trust, "Statement": [{**each, "Resource": "*"} for each in trust["Statement"]]}
        for policy in properties.get("Policies", []):
            if "PolicyDocument" in policy:
                yield f"{name}.{policy['PolicyName']}", policy["PolicyDocument"]


def findings(name: str, document: dict[str, Any]) -> Iterator[str]:
    """Yield what parliament finds in a policy. SAM's own documents leave the version out."""
    policy = analyze_policy_string(json.dumps({"Version": "2012-10-17", **document}))
    for finding in map(enhance_finding, policy.findings):
        if finding.issue == "RESOURCE_STAR" and name.endswith(OF_A_RESOURCE):
            continue
        if not any(finding.issue == issue and part in str(finding.detail) for issue, part, _ in ACCEPTED):
            yield f"{finding.severity} {finding.issue}: {finding.title} {finding.detail}"


def resolved(value: Any, resources: Resources) -> Any:
    """Return a part of the template with stand-ins where an intrinsic function stood."""
    match value:
        case {"Ref": str(name)}:
            return reference(name, resources)
        case {"Fn::GetAtt": [str(name), *attribute]}:
            return arn(name, resources) if attribute == ["Arn"] else name.lower()
        case {"Fn::GetAtt": str(name)}:
            return arn(name.split(".")[0], resources)
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), *_]}:
            return PLACEHOLDER.sub(lambda found: substituted(found[1], resources), text)
        case {"Fn::If": [_, first, _]}:
            return resolved(first, resources)
        case dict():
            return {key: resolved(item, resources) for key, item in value.items()}
        case list():
            return [resolved(item, resources) for item in value]
        case _:
            return value


def substituted(name: str, resources: Resources) -> str:
    """Return what stands for `${name}` or `${name.Arn}`."""
    base, _, attribute = name.partition(".")
    return arn(base, resources) if attribute == "Arn" else reference(base, resources)


def reference(name: str, resources: Resources) -> str:
    """Return what Ref gives: an ARN for some kinds of resources, and a name for the others."""
    if name in ACCOUNT:
        return ACCOUNT[name]
    kind = resources.get(name, {}).get("Type")
    return arn(name, resources) if kind in NAMED_BY_ARN else name.lower()


def arn(name: str, resources: Resources) -> str:
    """Return an ARN of the form that the resource's kind has. Raises: KeyError for a kind that is not in ARNS."""
    return ARNS[resources[name]["Type"]].format(name.lower())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
