"""The SAM template as CloudFormation: translated by AWS' own translator, its sources read from this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import intrinsics_multi_constructor

# Where `sam package` would name an upload, the local template names the folder itself under this "bucket".
SOURCE_BUCKET = "local-source"

Template = dict[str, Any]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's short tags; libyaml's parser, where there is one, is ten times as fast."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


class TemplateError(ValueError):
    """The template asks for something that the embedded cloud cannot carry out."""


def load(template: Path) -> Template:
    """Give a template as it is written."""
    loaded: Template = yaml.load(template.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    return loaded


def translate(template: Path, parameters: Mapping[str, str] | None = None) -> Template:
    """Give the CloudFormation template that deploying would create, ready for moto.

    Raises: TemplateError naming the resource whose source is missing, or what the translator found wrong.
    """
    source = load(template)
    _point_at_sources(source, template.parent.resolve())
    try:
        translated = transform(source, dict(parameters or {}), _NoManagedPolicies())
    except InvalidDocumentException as exc:
        causes = "; ".join(cause.message for cause in exc.causes)
        raise TemplateError(f"{template} is no valid SAM template: {causes or exc.message}") from exc
    # The translator leaves Python objects of its own behind; moto wants what a JSON template would hold.
    plain: Template = json.loads(json.dumps(translated))
    return plain


def _point_at_sources(source: Template, root: Path) -> None:
    """Replace paths by what the translator accepts, as `sam package` does by uploading them."""
    function_defaults = source.get("Globals", {}).get("Function", {})
    if "CodeUri" in function_defaults:
        function_defaults["CodeUri"] = _folder(root, function_defaults["CodeUri"], "Globals.Function")
    for logical_id, resource in source["Resources"].items():
        properties = resource.setdefault("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function" if "CodeUri" in properties:
                properties["CodeUri"] = _folder(root, properties["CodeUri"], logical_id)
            case "AWS::Serverless::LayerVersion":
                properties["ContentUri"] = _folder(root, properties["ContentUri"], logical_id)
            case "AWS::Serverless::StateMachine" if "DefinitionUri" in properties:
                properties["Definition"] = _definition(root, properties.pop("DefinitionUri"), logical_id)


def _folder(root: Path, uri: Any, logical_id: str) -> dict[str, str]:
    directory = (root / str(uri)).resolve()
    if not directory.is_dir():
        raise TemplateError(f"{logical_id}: the folder {directory} does not exist.")
    return {"Bucket": SOURCE_BUCKET, "Key": str(directory)}


def _definition(root: Path, uri: Any, logical_id: str) -> dict[str, Any]:
    path = root / str(uri)
    if not path.is_file():
        raise TemplateError(f"{logical_id}: the state machine {path} does not exist.")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    definition = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both are safe loaders
    if not isinstance(definition, dict):
        raise TemplateError(f"{logical_id}: {path} holds no state machine.")
    return definition


class _NoManagedPolicies:
    """Tells the translator no policy by name: templates here name managed policies by their ARN."""

    def load(self) -> dict[str, str]:
        return {}
