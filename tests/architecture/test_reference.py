"""The pages that somebody looks things up in are complete."""

import json
import re

import pytest
from pilotlight.domain import errors
from pilotlight.settings import Settings
from pilotlight_client.commands import app as command

from tests.architecture.template_rules import Template
from tools import cloudformation
from tools.cloudformation import ROOT
from tools.translate import translation

API_PAGE = ROOT / "docs/api.md"
OPERATIONS_PAGE = ROOT / "docs/operations.md"
SET_BY_THE_TEMPLATE = {
    "reconcile_dry_run",
    "reconcile_most_removals",
    "part_mib",
    "copiers",
    "copy_streams",
    "held_requests",
    "default_spend_ceiling_usd",
    "max_custom_model_units",
    "max_instances",
}
# How the services that the code makes clients for are called by VPC endpoints, where that differs.
ENDPOINTS = {
    "stepfunctions": "states",
    "service-quotas": "servicequotas",
    "cloudwatch": "monitoring",
    "sagemaker": "sagemaker.api",
    "sagemaker-runtime": "sagemaker.runtime",
}
# Which service makes a type of resource, where its name in CloudFormation is not IAM's.
MAKERS = {"stepfunctions": "states"}
NOT_FOR_OPERATORS = {"hub_token", "modelscope_token", "aws_endpoint", "clock_speed", "clock_epoch", "region", "service"}


def codes(error: type[errors.PilotlightError]) -> set[str]:
    return {error.code, *(code for leaf in error.__subclasses__() for code in codes(leaf))}


def test_every_error_code_is_explained_to_operators() -> None:
    page = OPERATIONS_PAGE.read_text()

    missing = {code for code in codes(errors.PilotlightError) - {"error"} if f"| `{code}` |" not in page}

    assert missing == set()


def test_every_route_is_shown_by_example() -> None:
    headings = " ".join(line for line in API_PAGE.read_text().splitlines() if line.startswith("## "))
    told = headings.replace("artifacts/{id}", "artifacts/{artifact_id}").replace("{id}", "{invocation_id}")

    missing = [f"{method} {path}" for _, (method, path) in routes() if f"{method} {path}" not in told]

    assert missing == []


def test_every_parameter_of_the_template_and_every_alarm_is_explained() -> None:
    document = cloudformation.load()
    page = OPERATIONS_PAGE.read_text()
    alarms = [
        name.removesuffix("Alarm")
        for name, resource in document["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]

    missing = [name for name in [*document["Parameters"], *alarms] if f"{name} |" not in page]

    assert missing == []


def test_every_setting_with_a_default_of_the_product_is_listed() -> None:
    page = OPERATIONS_PAGE.read_text()
    settable = {
        field.alias
        for name, field in Settings.model_fields.items()
        if name not in SET_BY_THE_TEMPLATE | NOT_FOR_OPERATORS and isinstance(field.default, int | float | bool)
    }

    assert {alias for alias in settable if f"`{alias}`" not in page} == set()


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    names = [each.name or str(getattr(each.callback, "__name__", "")) for each in command.registered_commands]

    assert [name for name in names if f"`{name}" not in readme] == []


def test_whoever_may_deploy_may_make_every_type_of_resource_and_turn_the_switch_by_hand() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        resources = translation()["Resources"]
    makers = {each["Type"].split("::")[1].lower() for each in resources.values()}
    (policy,) = re.findall(r"```json\n(\{\n  \"Version\".*?\n\})\n```", OPERATIONS_PAGE.read_text(), re.DOTALL)

    statements = json.loads(policy)["Statement"]

    asked = [([each["Action"]] if isinstance(each["Action"], str) else each["Action"]) for each in statements]
    allowed = {action for actions in asked for action in actions}
    assert {MAKERS.get(maker, maker) for maker in makers} - {action.partition(":")[0] for action in allowed} == set()
    # what Lambda asks of whoever puts a function into a VPC
    assert {"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"} <= allowed
    assert any("ssm:PutParameter" in actions for actions in asked)


def test_a_vpc_reaches_every_service_that_the_code_calls() -> None:
    wiring = (ROOT / "layers/core/python/pilotlight/wiring.py").read_text()
    called = {ENDPOINTS.get(name, name) for name in re.findall(r'\bclient\("([a-z0-9-]+)"', wiring)}
    section = OPERATIONS_PAGE.read_text().partition("\n## In a VPC\n")[2].partition("\n## ")[0]

    assert len(called) >= 10
    assert {name for name in called if f"`{name}`" not in section} == set()


def routes() -> list[tuple[str, tuple[str, str]]]:
    return Template(cloudformation.TEMPLATE.read_text()).routes
