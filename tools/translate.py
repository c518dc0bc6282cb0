"""Translate template.yaml with SAM's translator into build/template.translated.json, for cfn-lint to read."""

import json
import sys
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform

from tools import cloudformation

WRITTEN = cloudformation.ROOT / "build" / "template.translated.json"
PATHS_TO_CODE = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


class NoManagedPolicies:
    """Stands where the translator would ask IAM for AWS's managed policies; ours are all written out."""

    def load(self) -> dict[str, str]:
        """Return no policies."""
        return {}


def main() -> int:
    """Return 0 when the template translates, and 1 with the translator's reasons when it does not."""
    try:
        translated = translation()
    except InvalidDocumentException as refusal:
        print("\n".join(cause.message for cause in refusal.causes), file=sys.stderr)
        return 1
    WRITTEN.parent.mkdir(exist_ok=True)
    WRITTEN.write_text(json.dumps(translated, indent=2))
    return 0


def translation() -> dict[str, Any]:
    """Return the template as CloudFormation gets it. Raises: InvalidDocumentException with the translator's reasons."""
    translated: dict[str, Any] = transform(packaged(cloudformation.load()), {}, NoManagedPolicies())
    return translated


def packaged(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with S3 addresses where local paths stood, as `sam package` leaves it."""
    for logical_id, resource in template["Resources"].items():
        if path := PATHS_TO_CODE.get(resource["Type"]):
            resource["Properties"][path] = f"s3://packaged/{logical_id}"
    return template


if __name__ == "__main__":
    sys.exit(main())
