"""What every role may do, and what it must: the embedded cloud asks nobody for permission, so it is read here."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.architecture.template_rules import Template
from tools import cloudformation

MANAGED = "AWS::IAM::ManagedPolicy"
Statement = Mapping[str, Any]

# Actions that know no resource: with an ARN beside them they are refused, whatever it says.
# Source: Service Authorization Reference, the tables of Amazon Bedrock.
WITHOUT_RESOURCE = frozenset(
    {"bedrock:CreateModelImportJob", "bedrock:ListModelImportJobs", "bedrock:ListImportedModels"}
)


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


RULES = (names_no_resource_where_there_is_none, tells_what_is_missing_from_what_is_forbidden)


def table_actions(adapter: Path) -> set[str]:
    """Return the actions of the one adapter of DynamoDB: `client.get_item` and "put_item" name one each.

    A transaction has no action of its own: what is in it is allowed or not.
    """
    nodes = list(ast.walk(ast.parse(adapter.read_text())))
    methods = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    used = {name for name in methods | texts if name == "query" or name.endswith("_item")}
    return {"dynamodb:" + "".join(word.capitalize() for word in name.split("_")) for name in used}
