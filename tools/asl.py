"""Put every state machine of the template through asl-validator, after the substitutions that a deployment makes."""

import json
import subprocess
import sys
from pathlib import Path

from tools import cloudformation

VALIDATOR = cloudformation.ROOT / ".tools" / "asl"
WRITTEN = cloudformation.ROOT / "build" / "statemachines"


def main() -> int:
    """Return the validator's exit code; 0 says that it found nothing."""
    template = cloudformation.load()
    definitions = [write(machine, template["Resources"]) for machine in cloudformation.machines(template)]
    if not definitions:
        print("template.yaml has no state machine to validate.", file=sys.stderr)
        return 1
    node = (VALIDATOR / "node-path").read_text()
    program = VALIDATOR / "node_modules" / "asl-validator" / "dist" / "bin" / "asl-validator.js"
    paths = [argument for path in definitions for argument in ("--json-path", str(path))]
    return subprocess.run([node, str(program), *paths], check=False).returncode


def write(machine: cloudformation.Machine, resources: dict[str, object]) -> Path:
    """Return the file that holds the machine's definition as JSON, which is what the validator reads."""
    WRITTEN.mkdir(parents=True, exist_ok=True)
    path = WRITTEN / machine.path.with_suffix(".json").name
    path.write_text(json.dumps(machine.definition(resources), indent=2))
    return path


if __name__ == "__main__":
    sys.exit(main())
