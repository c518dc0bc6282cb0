"""Reads template.yaml and the state machines as what CloudFormation sees: plain data, tags in their long form."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
FUNCTION = "AWS::Serverless::Function"
STATE_MACHINE = "AWS::Serverless::StateMachine"

ACCOUNT = "arn:aws:{service}:us-east-1:123456789012:{kind}:{name}"
PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


class TemplateLoader(yaml.SafeLoader):
    """A YAML loader that turns `!Sub x` into `{"Fn::Sub": x}`, and so on for every short tag."""


def _long_form(loader: TemplateLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
        case _:
            raise yaml.YAMLError(f"Cannot read a {type(node).__name__} under !{tag}.")
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


TemplateLoader.add_multi_constructor("!", _long_form)


@dataclass(frozen=True)
class Machine:
    """One state machine of the template: its logical id, its file, and what its placeholders become."""

    logical_id: str
    path: Path
    substitutions: Mapping[str, Any]

    def definition(self, resources: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition as Step Functions gets it, with local stand-ins for the account's names.

        The service replaces placeholders in the text and reads the YAML afterwards; so do we.
        """
        values = {name: stand_in(value, resources) for name, value in self.substitutions.items()}
        text = PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), self.path.read_text())
        definition: dict[str, Any] = yaml.safe_load(text)
        return definition


def parse(text: str) -> dict[str, Any]:
    """Return a template's text as data."""
    template: dict[str, Any] = yaml.load(text, Loader=TemplateLoader)  # noqa: S506 (a SafeLoader with more tags)
    return template


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return a template as data."""
    return parse(path.read_text())


def of_type(template: Mapping[str, Any], resource_type: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every resource of one type, by logical id."""
    return {
        logical_id: resource.get("Properties") or {}
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def machines(template: Mapping[str, Any], root: Path = ROOT) -> Iterator[Machine]:
    """Yield the template's state machines."""
    for logical_id, properties in of_type(template, STATE_MACHINE).items():
        yield Machine(logical_id, root / properties["DefinitionUri"], properties.get("DefinitionSubstitutions") or {})


def stand_in(value: Any, resources: Mapping[str, Any]) -> str:
    """Return text of the right form for a substitution's value, as no account is here to resolve it."""
    match value:
        case {"Fn::GetAtt": [name, *_]} | {"Ref": name}:
            return _arn(name, (resources.get(name) or {}).get("Type", ""))
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{[^}]+\}", "x", text)
        case {"Fn::Sub": [str(text), *_]}:
            return re.sub(r"\$\{[^}]+\}", "x", text)
        case str() | int():
            return str(value)
        case _:
            raise ValueError(f"A state machine's substitution is {value!r}; expected !GetAtt, !Ref, !Sub or text.")


def _arn(name: str, resource_type: str) -> str:
    match resource_type:
        case "AWS::Serverless::Function" | "AWS::Lambda::Function":
            return ACCOUNT.format(service="lambda", kind="function", name=name)
        case "AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine":
            return ACCOUNT.format(service="states", kind="stateMachine", name=name)
        case _:
            return name.lower()
