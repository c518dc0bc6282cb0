"""The pages that somebody looks things up in are complete."""

from pilotlight.domain import errors
from pilotlight.settings import Settings
from pilotlight_client.commands import app as command

from tests.architecture.template_rules import Template
from tools import cloudformation
from tools.cloudformation import ROOT

API_PAGE = ROOT / "docs/api.md"
OPERATIONS_PAGE = ROOT / "docs/operations.md"
SET_BY_THE_TEMPLATE = {
    "reconcile_dry_run",
    "reconcile_most_removals",
    "part_mib",
    "held_requests",
    "default_spend_ceiling_usd",
    "max_custom_model_units",
    "max_instances",
}
NOT_FOR_OPERATORS = {"hub_token", "aws_endpoint", "clock_speed", "clock_epoch", "region", "service"}


def codes(error: type[errors.PilotlightError]) -> set[str]:
    return {error.code, *(code for leaf in error.__subclasses__() for code in codes(leaf))}


def test_every_error_code_is_explained_to_operators() -> None:
    page = OPERATIONS_PAGE.read_text()

    missing = {code for code in codes(errors.PilotlightError) - {"error"} if f"| `{code}` |" not in page}

    assert missing == set()


def test_every_route_is_shown_by_example() -> None:
    headings = " ".join(line for line in API_PAGE.read_text().splitlines() if line.startswith("## "))
    told = headings.replace("{id}", "{invocation_id}")

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


def routes() -> list[tuple[str, tuple[str, str]]]:
    return Template(cloudformation.TEMPLATE.read_text()).routes
