"""What is installed is what was locked, and a lock never says where it came from."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tools.cloudformation import ROOT

LOCKS = [*ROOT.glob("requirements/*.lock"), *ROOT.glob("layers/*/*.lock")]
ADDRESS = re.compile(r"://|--(extra-)?index-url|--find-links| @ ")


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the versions that a lock allows, by name: more than one where they depend on the platform."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_a_lock_pins_everything_with_hashes_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()

    requirements = re.findall(r"^[a-z].*$", text, re.MULTILINE)

    assert requirements
    assert [line for line in requirements if "==" not in line] == []
    assert len(requirements) <= text.count("--hash=sha256:")
    assert ADDRESS.search(text) is None


@pytest.mark.parametrize("line", ["--index-url https://a/simple", "x @ file.whl", "--find-links /wheels"])
def test_an_address_would_be_seen(line: str) -> None:
    assert ADDRESS.search(line)


def test_functions_run_the_versions_that_the_tests_ran() -> None:
    tested = pins(ROOT / "requirements/dev.lock")

    for lock in ROOT.glob("layers/*/*.lock"):
        deployed = pins(lock)
        assert deployed
        assert {name: versions for name, versions in deployed.items() if tested.get(name) != versions} == {}


def test_moto_is_pinned_where_its_seams_are_known() -> None:
    assert "moto[server]==5.2.5" in (ROOT / "requirements/dev.in").read_text()


def test_what_the_client_needs_is_locked_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(need for extra in project["optional-dependencies"].values() for need in extra),
    ]

    assert {re.split(r"[<>=[ ]", need)[0] for need in wanted} <= pins(ROOT / "requirements/dev.lock").keys()


def test_the_validator_is_locked_by_content_and_not_by_address() -> None:
    packages = json.loads((ROOT / "requirements/asl/package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}

    assert installed
    assert [name for name, package in installed.items() if "resolved" in package or "integrity" not in package] == []
