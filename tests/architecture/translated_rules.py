"""What every role may do once SAM has had its say, with what SAM adds and what we attach to roles."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.architecture import permission_rules
from tests.architecture.permission_rules import Statement, conditions, listed

Resources = Mapping[str, Mapping[str, Any]]

# What Bedrock, EC2 and CloudWatch Logs do to no resource, so that IAM takes `*` for one.
# Source: Service Authorization Reference, their tables.
WITHOUT_RESOURCE = permission_rules.WITHOUT_RESOURCE | {
    *("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets"),
    *("ec2:DescribeSecurityGroups", "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery"),
    *("logs:DeleteLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeLogGroups"),
    "logs:DescribeResourcePolicies",
}

# AWS's own policies on our roles. Each allows its few actions on everything, and SAM leaves none of them out.
OF_AWS = {
    "service-role/AWSLambdaBasicExecutionRole": "SAM's: a function writes its log",
    "service-role/AWSLambdaVPCAccessExecutionRole": "SAM's: Lambda makes network interfaces; the code is denied it",
    "service-role/AWSLambdaSQSQueueExecutionRole": "SAM's: Lambda takes messages from the function's queue",
    # pragma: allowlist nextline secret (a name)
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": "the gateway's role of the account, for access logs",
    "AWSXrayWriteOnlyAccess": "SAM's: functions and machines send traces",
}


def statements(resources: Resources) -> Iterator[tuple[str, Statement]]:
    """Yield every statement about what roles may do, with the name of the role or policy that it stands in."""
    for name, resource in resources.items():
        own = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy":
                documents = [own["PolicyDocument"]]
            case "AWS::IAM::Role":
                documents = [policy["PolicyDocument"] for policy in own.get("Policies", [])]
            case _:
                documents = []
        yield from ((name, each) for document in documents for each in listed(document["Statement"]))


def allowed(resources: Resources) -> Iterator[tuple[str, Statement, set[str]]]:
    """Yield every statement that allows something, with its actions."""
    for name, each in statements(resources):
        if each["Effect"] == "Allow":
            yield name, each, set(listed(each.get("Action", [])))


def allows_everything_only_where_nothing_can_be_named(resources: Resources) -> Iterator[str]:
    for name, statement, actions in allowed(resources):
        if "*" in listed(statement.get("Resource", "*")) and (named := sorted(actions - WITHOUT_RESOURCE)):
            yield f"{name} may {', '.join(named)} on everything, and could be told on what."


def names_each_action(resources: Resources) -> Iterator[str]:
    for name, statement, actions in allowed(resources):
        yield from (f"{name} may {action}: name each action." for action in sorted(actions) if "*" in action)
        if not actions or "NotResource" in statement:
            yield f"{name} may whatever is not named: name what it may."


def takes_only_known_policies_of_aws(resources: Resources) -> Iterator[str]:
    for name, resource in resources.items():
        for policy in resource.get("Properties", {}).get("ManagedPolicyArns", []):
            if isinstance(policy, dict) and policy.get("Ref") in resources:
                continue  # one of the template's own, whose statements are read
            arn = policy.get("Fn::Sub", "") if isinstance(policy, dict) else policy
            if arn.partition(":iam::aws:policy/")[2] not in OF_AWS:
                yield f"{name} has {arn or policy}, which nobody gave a reason for in OF_AWS."


def uses_keys_through_a_service_only(resources: Resources) -> Iterator[str]:
    for name, statement, actions in allowed(resources):
        used = sorted(action for action in actions if action.startswith("kms:"))
        if used and "kms:ViaService" not in conditions(statement):
            yield f"{name} may {', '.join(used)} with its own hands: condition kms:ViaService."


def hands_keys_to_bedrock_alone(resources: Resources) -> Iterator[str]:
    """A grant outlives the call and the role that gave it: none is given but by Bedrock for the model it makes."""
    for name, statement, actions in allowed(resources):
        if not actions & {"kms:CreateGrant", "kms:RetireGrant", "kms:RevokeGrant"}:
            continue
        asked = statement.get("Condition", {})
        if asked != {"StringEquals": {"kms:ViaService": {"Fn::Sub": "bedrock.${AWS::Region}.amazonaws.com"}}}:
            yield f"{name} may grant the key's use to whomever: condition kms:ViaService, bedrock alone."


RULES = (
    allows_everything_only_where_nothing_can_be_named,
    names_each_action,
    takes_only_known_policies_of_aws,
    uses_keys_through_a_service_only,
    hands_keys_to_bedrock_alone,
)
