"""State machines by their text: that of one state, replaced in the deployed stack and put back afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.identity import ACCOUNT_ID, REGION
from local.step_functions.definitions import find_faults

FOLDER = Path(__file__).parents[2] / "statemachines"


def of_state(file: str, state: str) -> str:
    """Give the lines of one state, its name's included. Raises: LookupError where there is not one of that name."""
    lines = _text(file).splitlines(keepends=True)
    heads = [number for number, line in enumerate(lines) if line.strip() == f"{state}:"]
    if len(heads) != 1:
        raise LookupError(f"{file} has {len(heads)} states {state}")
    depth, (first,) = _depth(lines[heads[0]]), heads
    rest = range(first + 1, len(lines))
    end = next((number for number in rest if lines[number].strip() and _depth(lines[number]) <= depth), len(lines))
    return "".join(lines[first:end])


def with_state(file: str, before: str, after: str) -> dict[str, Any]:
    """Give a definition with another text in the place of a state's. Raises: ValueError where it is no machine."""
    definition: dict[str, Any] = yaml.safe_load(_text(file).replace(before, after))
    if faults := list(find_faults(definition)):
        raise ValueError(f"{file}: {faults}")
    return definition


@contextmanager
def deployed(file: str, definition: dict[str, Any]) -> Iterator[None]:
    """Within, executions that begin follow this definition."""
    name = file.removesuffix(".asl.yaml").replace("_", "-")
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    (machine,) = (each for each in machines if each.name.endswith(f"-{name}"))
    before = machine.definition
    arns = dict(_substituted(yaml.safe_load(_text(file)), json.loads(before)))
    machine.definition = re.sub(r"\$\{\w+\}", lambda found: arns[found[0]], json.dumps(definition))
    try:
        yield
    finally:
        machine.definition = before


def _text(file: str) -> str:
    return (FOLDER / file).read_text()


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _substituted(declared: Any, given: Any) -> Iterator[tuple[str, str]]:
    """Yield what the template put in the place of each variable."""
    match declared:
        case dict():
            for key, value in declared.items():
                yield from _substituted(value, given[key])
        case list():
            for value, there in zip(declared, given, strict=True):
                yield from _substituted(value, there)
        case str() if declared.startswith("${"):
            yield declared, given
