"""Look for secrets in every file that is, or would be, in git; first in files where some were planted."""

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools import cloudformation

SCANNER = cloudformation.ROOT / ".tools" / "security" / "bin" / "detect-secrets-hook"
# What is left out everywhere, with its reason; single lines say `pragma: allowlist secret`.
NOWHERE = {"TelegramBotTokenDetector": "the sender of an SQS message looks like one"}
# What is left out in files of digests, commits, ids and receipt handles, all of which look drawn at random. In every
# other file a text that looks so is a finding.
RANDOM = ("HexHighEntropyString", "Base64HighEntropyString")
FULL_OF_RANDOM = re.compile(r"events/.*\.json|docs/api\.md|docs/openapi\.json|.*\.lock|.*/package-lock\.json")


def main() -> int:
    """Return 0 when the scanner finds what was planted and nothing else, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        for name, secret in planted().items():
            path = Path(folder) / f"{name}.py"
            path.write_text(secret)
            if scan([str(path)], quiet=True) == 0:
                print(f"The secret scanner did not find a planted {name}: it cannot be trusted.", file=sys.stderr)
                return 1
    files = tracked()
    examples = [name for name in files if FULL_OF_RANDOM.fullmatch(name)]
    rest = [name for name in files if name not in set(examples)]
    found = [scan(rest), scan(examples, without=RANDOM)]
    if any(found):
        return 1
    print(f"detect-secrets: {len(files)} files, {len(examples)} of them full of digests")
    return 0


def planted() -> dict[str, str]:
    """Return texts that must be found, put together here so that this file is not one of them."""
    drawn = hashlib.sha256(b"planted").digest()
    return {
        "access key": "key = '" + "AKIA" + "J7QW3N5XK2VM4TPZ" + "'",
        "password": "pass" + "word = 'correct-horse-battery-9'",  # pragma: allowlist secret
        "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
        "token": "git = '" + "ghp_" + "a1B2c3D4e5F6g7H8" + "i9J0k1L2m3N4o5P6q7R8" + "'",
        "hub token": "hub_to" + "ken_secret = '" + "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH" + "'",
        "random hex": f"seed = '{drawn.hex()}'",
        "random base64": f"seed = '{base64.b64encode(drawn).decode()}'",
    }


def tracked() -> list[str]:
    """Return the files that git has or would take, as paths from the project's root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listed = subprocess.run(command, cwd=cloudformation.ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (cloudformation.ROOT / name).is_file()]


def scan(files: list[str], *, without: Iterable[str] = (), quiet: bool = False) -> int:
    """Return the scanner's exit code: 0 when it found nothing. `without` names detectors to leave out."""
    disabled = [argument for name in (*NOWHERE, *without) for argument in ("--disable-plugin", name)]
    said = subprocess.DEVNULL if quiet else None
    command = [str(SCANNER), "--no-verify", *disabled, *files]
    return subprocess.run(command, cwd=cloudformation.ROOT, stdout=said, stderr=said, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
