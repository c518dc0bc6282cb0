"""A bug on purpose: one piece of the code's own text, replaced in the running process and put back afterwards."""

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
    """One bug: what it forgets, in which function (`module:Class.method`), and by which text instead of which."""

    name: str
    forgets: str
    where: str
    text: str
    instead: str
    hunts: tuple[Hunt, ...]

    def code(self) -> CodeType:
        """Give the function's code with the bug in it. Raises: StaleMutantError."""
        function = _function(self.where)
        source = textwrap.dedent(inspect.getsource(function))
        if source.count(self.text) != 1:
            raise StaleMutantError(f"{self.name}: {source.count(self.text)} times {self.text!r} in {self.where}")
        before = function.__code__
        annotations = before.co_flags & __future__.annotations.compiler_flag
        changed = source.replace(self.text, self.instead)
        module = compile(changed, before.co_filename, "exec", flags=annotations, dont_inherit=True)
        (code,) = (each for each in module.co_consts if isinstance(each, CodeType) and each.co_name == before.co_name)
        if code.co_freevars != before.co_freevars:
            raise StaleMutantError(f"{self.name}: {self.where} is a closure, whose code cannot be replaced")
        return code


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Within, the bug is there for everybody, under whatever name they know the function."""
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
