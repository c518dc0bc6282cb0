"""What every role may do and under which conditions, read as it is written: what no call can show is judged here."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.architecture.template_rules import Template
from tools import cloudformation

MANAGED = "AWS::IAM::ManagedPolicy"
Statement = Mapping[str, Any]

# Actions that know no resource: with an ARN beside them they are refused, whatever it says.
# Source: Service Authorization Reference, the tables of Amazon Bedrock, SageMaker, Application Auto Scaling, Step
# Functions (a task's token is all that is told), CloudWatch (metrics) and ECR (tokens).
WITHOUT_RESOURCE = frozenset(
    {"bedrock:CreateModelImportJob", "bedrock:ListModelImportJobs", "bedrock:ListImportedModels"}
    | {"sagemaker:ListEndpoints", "sagemaker:ListEndpointConfigs", "sagemaker:ListModels"}
    | {"sagemaker:ListInferenceComponents", "application-autoscaling:DescribeScalableTargets"}
    | {"states:SendTaskSuccess", "states:SendTaskFailure", "ecr:GetAuthorizationToken"}
    | {"cloudwatch:GetMetricData", "cloudwatch:PutMetricData"}
)

# What the service can decide by tags; ListTagsForResource and the rest of what we call it cannot.
# Source: Service Authorization Reference, condition keys of the actions of Amazon Bedrock and SageMaker, and of the
# resources that they act on.
MADE_WITH, FOUND_WITH = "aws:RequestTag/pilotlight:stack", "aws:ResourceTag/pilotlight:stack"
STAMPED = {
    "bedrock:CreateModelImportJob": MADE_WITH,
    "bedrock:TagResource": MADE_WITH,
    "bedrock:DeleteImportedModel": FOUND_WITH,
    "sagemaker:CreateModel": MADE_WITH,
    "sagemaker:AddTags": MADE_WITH,
    "sagemaker:UpdateEndpoint": FOUND_WITH,
    "sagemaker:DeleteEndpoint": FOUND_WITH,
    "sagemaker:DeleteInferenceComponent": FOUND_WITH,
    "sagemaker:DeleteEndpointConfig": FOUND_WITH,
    "sagemaker:DeleteModel": FOUND_WITH,
}

# Actions whose calls tell IAM a prefix; on any other a condition about it never holds. Listing uploads is another.
# Source: Service Authorization Reference, condition keys of the actions of Amazon S3.
TELLS_PREFIX = frozenset({"s3:ListBucket", "s3:ListBucketVersions"})

# Source: IAM user guide, "IAM and AWS STS quotas": managed policies per role, before anybody asks for more.
MOST_MANAGED = 10

# Writes logs under one role of the account's, and documents neither aws:SourceAccount nor aws:SourceArn for it.
API_GATEWAY = "apigateway.amazonaws.com"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def managed(template: Template) -> dict[str, list[Statement]]:
    """Return the statements of each managed policy, by logical id."""
    found = cloudformation.of_type(template.data, MANAGED)
    return {name: listed(own["PolicyDocument"]["Statement"]) for name, own in found.items()}


def of_function(template: Template, name: str) -> list[Statement]:
    """Return all statements of a function's role."""
    shared = managed(template)
    policies = template.functions[name].get("Policies", [])
    return [
        statement
        for policy in policies
        for statement in (shared[policy["Ref"]] if "Ref" in policy else listed(policy["Statement"]))
    ]


def actions_of(template: Template, function: str) -> set[str]:
    """Return every action that a function may do."""
    allowed = (each for each in of_function(template, function) if each["Effect"] == "Allow")
    return {action for statement in allowed for action in listed(statement["Action"])}


def statements(template: Template) -> Iterator[tuple[str, Statement]]:
    """Yield who may do something, and what."""
    for name in template.functions:
        yield from ((name, statement) for statement in of_function(template, name))


def resources(statement: Statement) -> str:
    """Return all resources of a statement as one text, to look into."""
    return str(statement["Resource"])


def allows(template: Template, function: str, action: str, resource: str) -> list[Statement]:
    """Return the statements that allow a function an action on a resource that is written so in the template."""
    return [
        statement
        for statement in of_function(template, function)
        if statement["Effect"] == "Allow" and action in listed(statement["Action"]) and resource in resources(statement)
    ]


def names_no_resource_where_there_is_none(template: Template) -> Iterator[str]:
    for name, statement in statements(template):
        without = WITHOUT_RESOURCE & set(listed(statement["Action"]))
        if without and statement["Resource"] != "*":
            yield f"{name} would be refused {', '.join(sorted(without))}: give it a statement of its own on '*'."
        if statement["Resource"] == "*" and without != set(listed(statement["Action"])):
            yield f"{name}: {statement['Action']} is allowed on everything, and some of it knows resources."


def tells_what_is_missing_from_what_is_forbidden(template: Template) -> Iterator[str]:
    """S3 answers 403 for a key that is not there to whoever may not list: an expired body would look like a fault."""
    for name, statement in statements(template):
        if statement["Effect"] != "Allow" or "s3:GetObject" not in listed(statement["Action"]):
            continue
        for bucket in ("ArtifactBucket", "UploadBucket"):
            if f"{bucket}.Arn" in resources(statement) and not allows(template, name, "s3:ListBucket", bucket):
                yield f"{name} reads {bucket} and may not list it: what is missing looks forbidden."


def allows_no_actions_by_wildcard(template: Template) -> Iterator[str]:
    for name, statement in every_statement(template):
        if statement["Effect"] == "Allow":
            wide = [action for action in listed(statement["Action"]) if "*" in action]
            yield from (f"{name} may {action}: name each action." for action in wide)
        if statement["Effect"] == "Allow" and {"NotAction", "NotResource"} & statement.keys():
            yield f"{name} may whatever is not named: name what it may."


def hands_roles_to_one_service_only(template: Template) -> Iterator[str]:
    for name, statement in every_statement(template):
        if "iam:PassRole" in listed(statement.get("Action", [])) and "iam:PassedToService" not in conditions(statement):
            yield f"{name} may hand roles to any service: condition iam:PassedToService."


def stamps_what_it_makes_and_deletes_what_is_stamped(template: Template) -> Iterator[str]:
    for name, statement in every_statement(template):
        for action, key in STAMPED.items():
            if action in listed(statement.get("Action", [])) and key not in conditions(statement):
                yield f"{name} may {action} whatever it is tagged with: condition {key}."


def asks_only_lists_of_objects_for_their_prefix(template: Template) -> Iterator[str]:
    for name, statement in every_statement(template):
        if "s3:prefix" in conditions(statement):
            without = sorted(set(listed(statement["Action"])) - TELLS_PREFIX)
            yield from (f"{name} would be refused {action}: it knows no s3:prefix." for action in without)


def trusts_services_for_this_account_only(template: Template) -> Iterator[str]:
    """Roles that the template writes itself; those that SAM makes are assumed by Lambda and Step Functions only."""
    for name, own in cloudformation.of_type(template.data, "AWS::IAM::Role").items():
        for statement in listed(own["AssumeRolePolicyDocument"]["Statement"]):
            by_gateway = statement.get("Principal") == {"Service": API_GATEWAY}
            if not by_gateway and (missing := {"aws:SourceAccount", "aws:SourceArn"} - conditions(statement)):
                yield f"{name} may be assumed for anybody: condition {', '.join(sorted(missing))}."


def lets_services_in_for_this_account_only(template: Template) -> Iterator[str]:
    kinds = {"AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy"}
    for kind in kinds:
        for name, own in cloudformation.of_type(template.data, kind).items():
            for statement in listed(own["PolicyDocument"]["Statement"]):
                known = {"aws:SourceArn", "aws:SourceAccount"} & conditions(statement)
                if statement["Effect"] == "Allow" and not known:
                    yield f"{name} lets in whoever gets a service to call: condition aws:SourceArn."


def carries_no_more_managed_policies_than_a_role_may(template: Template) -> Iterator[str]:
    """Beside those named here: two of SAM's for logs and traces, one for the VPC, one for a queue, and our denial."""
    for name, own in template.functions.items():
        polls = any(event["Type"] == "SQS" for event in (own.get("Events") or {}).values())
        attached = sum("Ref" in policy for policy in own.get("Policies", [])) + 4 + polls
        if attached > MOST_MANAGED:
            yield f"{name} has {attached} managed policies, and a role may have {MOST_MANAGED}: write some of them out."


def conditions(statement: Statement) -> set[str]:
    """Return the keys that a statement's conditions ask about."""
    return {key for tests in (statement.get("Condition") or {}).values() for key in tests}


def every_statement(template: Template) -> Iterator[tuple[str, Statement]]:
    """Yield the statements of every role: of functions, of machines, of policies that are shared, and of roles."""
    yield from ((name, each) for name, found in managed(template).items() for each in found)
    for kind in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for name, own in cloudformation.of_type(template.data, kind).items():
            written = (policy for policy in own.get("Policies", []) if "Statement" in policy)
            yield from ((name, each) for policy in written for each in listed(policy["Statement"]))
    for name, own in cloudformation.of_type(template.data, "AWS::IAM::Role").items():
        documents = (policy["PolicyDocument"] for policy in own.get("Policies", []))
        yield from ((name, each) for document in documents for each in listed(document["Statement"]))


RULES = (
    names_no_resource_where_there_is_none,
    tells_what_is_missing_from_what_is_forbidden,
    allows_no_actions_by_wildcard,
    hands_roles_to_one_service_only,
    stamps_what_it_makes_and_deletes_what_is_stamped,
    asks_only_lists_of_objects_for_their_prefix,
    trusts_services_for_this_account_only,
    lets_services_in_for_this_account_only,
    carries_no_more_managed_policies_than_a_role_may,
)


def table_actions(adapter: Path) -> set[str]:
    """Return the actions of the one adapter of DynamoDB: `client.get_item` and "put_item" name one each.

    A transaction has no action of its own: what is in it is allowed or not.
    """
    nodes = list(ast.walk(ast.parse(adapter.read_text())))
    methods = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used = {name for name in methods | texts if name == "query" or name.endswith("_item")}
    return {"dynamodb:" + "".join(word.capitalize() for word in name.split("_")) for name in used}
