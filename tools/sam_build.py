"""Run `sam build` with what it expects to find on the path: uv for the layer, and Lambda's own Python.

SAM wants the runtime's Python beside it, and the layers' bytecode is only of use when that version wrote it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools import cloudformation

SAM = cloudformation.ROOT / ".tools" / "sam" / "bin" / "sam"
OURS = Path(sys.executable).parent


def main() -> int:
    """Return sam's exit code, or 1 when this machine lacks the runtime's Python."""
    runtime = cloudformation.load()["Globals"]["Function"]["Runtime"]
    python = next(installed(runtime), None)
    if python is None:
        print(
            f"sam build needs {runtime} (the functions' runtime) on this machine, and none runs here. "
            f"Install it; `.venv/bin/uv python install {runtime.removeprefix('python')}` does.",
            file=sys.stderr,
        )
        return 1
    path = os.pathsep.join([str(python.parent), str(OURS), os.environ.get("PATH", "")])
    command = [str(SAM), "build", "--template-file", str(cloudformation.TEMPLATE), *sys.argv[1:]]
    return subprocess.run(command, check=False, env={**os.environ, "PATH": path}).returncode


def installed(name: str) -> Iterator[Path]:
    """Yield the interpreters of that name that run: on the path, then where uv and pyenv keep theirs."""
    version = name.removeprefix("python")
    on_path = [Path(folder) / name for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    kept = [
        *Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/{name}"),
        *Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"),
    ]
    return (candidate for candidate in [*on_path, *kept] if runs(candidate, version))


def runs(candidate: Path, version: str) -> bool:
    """Return whether this is a Python of that version; a version manager's shim may be none."""
    if not candidate.exists():
        return False
    said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
    return re.match(rf"Python {re.escape(version)}\.", said) is not None


if __name__ == "__main__":
    sys.exit(main())
