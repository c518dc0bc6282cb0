"""A bug on purpose: one piece of the product's own text, replaced in the running process and put back afterwards.

The text is that of a function, or of a state of a machine.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import reduce
from types import CodeType, FunctionType
from typing import Any

from tests.faults import machine_texts
from tests.faults.bench import Run, distinct
from tests.faults.modes import MODES
from tests.faults.seam import Call


class StaleMutantError(AssertionError):
    """The code no longer has the text that a mutant replaces: the mutant is to be written anew."""


@dataclass(frozen=True)
class Hunt:
    """Where a mutant is looked for: in one workflow, a run for each of these modes at each call that matches.

    `at` is a pattern of `<function> <service>.<operation>`. Without a mode it is the one run without a fault.
    """

    workflow: str
    modes: tuple[str, ...] = ()
    at: str = "*"

    def runs(self, calls: tuple[Call, ...]) -> list[Run]:
        """Give the runs, by the calls that the workflow makes without a fault."""
        if not self.modes:
            return [Run(self.workflow)]
        met = [call for call in distinct(calls) if fnmatchcase(str(call), self.at)]
        wanted = [MODES[mode] for mode in self.modes]
        return [
            Run(self.workflow, ((call.number, mode.name),)) for call in met for mode in wanted if mode.applies(call)
        ]


@dataclass(frozen=True)
class Mutant:
    """One bug: what it forgets, where, and by which text instead of which.

    `where` is a function (`module:Class.method`), or a state (`deploy.asl.yaml:StartImport`).
    """

    name: str
    forgets: str
    where: str
    text: str
    instead: str
    hunts: tuple[Hunt, ...]

    @property
    def machine(self) -> str | None:
        """Give the file of the machine whose text it changes, None where it changes a function."""
        file = self.where.partition(":")[0]
        return file if file.endswith(".asl.yaml") else None

    def code(self) -> CodeType:
        """Give the function's code with the bug in it. Raises: StaleMutantError."""
        function = _function(self.where)
        changed = self._changed(textwrap.dedent(inspect.getsource(function)))
        before = function.__code__
        annotations = before.co_flags & __future__.annotations.compiler_flag
        module = compile(changed, before.co_filename, "exec", flags=annotations, dont_inherit=True)
        (code,) = (each for each in module.co_consts if isinstance(each, CodeType) and each.co_name == before.co_name)
        if code.co_freevars != before.co_freevars:
            raise StaleMutantError(f"{self.name}: {self.where} is a closure, whose code cannot be replaced")
        return code

    def definition(self) -> dict[str, Any]:
        """Give the machine's definition with the bug in it. Raises: StaleMutantError."""
        file, _, state = self.where.partition(":")
        try:
            before = machine_texts.of_state(file, state)
            return machine_texts.with_state(file, before, self._changed(before))
        except (OSError, LookupError, ValueError) as exc:
            raise StaleMutantError(f"{self.name}: {exc}") from exc

    def _changed(self, source: str) -> str:
        if source.count(self.text) != 1:
            raise StaleMutantError(f"{self.name}: {source.count(self.text)} times {self.text!r} in {self.where}")
        return source.replace(self.text, self.instead)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Within, the bug is there for everybody: under whatever name they know the function, in what begins to run."""
    if mutant.machine:
        with machine_texts.deployed(mutant.machine, mutant.definition()):
            yield
        return
    function = _function(mutant.where)
    before, function.__code__ = function.__code__, mutant.code()
    try:
        yield
    finally:
        function.__code__ = before


def _function(where: str) -> FunctionType:
    module, _, path = where.partition(":")
    try:
        found: Any = reduce(inspect.getattr_static, path.split("."), importlib.import_module(f"pilotlight.{module}"))
    except (ImportError, AttributeError) as exc:
        raise StaleMutantError(f"there is no {where}: {exc}") from exc
    match found:
        case property():
            found = found.fget
        case staticmethod() | classmethod():
            found = found.__func__
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType), where
    return found
