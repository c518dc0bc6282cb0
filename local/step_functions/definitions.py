"""Definitions: refused where the service refuses them, and read whole where moto's grammar knows less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from local.clock import ScaledClock
from local.seams import replace
from local.step_functions.interpreter import (
    AmazonStateLanguageParser,
    ASLParserException,
    Environment,
    Program,
    ResourceOutputTransformer,
    StateMap,
    StateParallel,
    Timeout,
)

_ENDS_BY_ITSELF = ("Choice", "Succeed", "Fail")


def install(clock: ScaledClock) -> None:
    """Check, read and complete each definition, once per text."""
    replace(AmazonStateLanguageParser, "parse", lambda original: _parsing(original, clock))


def _parsing(original: Any, clock: ScaledClock) -> Any:
    """The gap: moto accepts a Next that leads nowhere, refuses EXPRESS children, JSONL and ItemBatcher, and parses anew
    for each execution. Parsed programs keep no state, so every execution of a definition shares one.
    """

    @lru_cache(maxsize=256)
    def parse(definition: str) -> tuple[Program, Any]:
        declared = json.loads(definition)
        if faults := list(find_faults(declared)):
            raise ASLParserException(faults)
        program, tree = original(json.dumps(_in_motos_grammar(declared)))
        if "TimeoutSeconds" in declared:
            program.timeout_seconds = _MachineTimeout(declared["TimeoutSeconds"], clock)
        _complete(program.states.states, declared["States"], clock)
        return program, tree

    return parse


def find_faults(machine: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Give what CreateStateMachine would refuse about the ways between states, machines within machines included."""
    states: Mapping[str, Any] = machine.get("States") or {}
    reached = {machine.get("StartAt")}
    if machine.get("StartAt") not in states:
        yield f"MISSING_TRANSITION_TARGET: StartAt {machine.get('StartAt')!r} is not a state at {at}/StartAt"
    for name, state in states.items():
        here = f"{at}/States/{name}"
        targets = list(_targets(state))
        reached.update(targets)
        for target in targets:
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Next {target!r} is not a state at {here}"
        if state.get("Type") not in _ENDS_BY_ITSELF and not state.get("Next") and not state.get("End"):
            yield f"SCHEMA_VALIDATION_FAILED: a state needs Next or End at {here}"
        for number, branch in enumerate(state.get("Branches") or []):
            yield from find_faults(branch, f"{here}/Branches[{number}]")
        if children := state.get("ItemProcessor") or state.get("Iterator"):
            yield from find_faults(children, f"{here}/ItemProcessor")
    for name in states.keys() - reached:
        yield f"MISSING_TRANSITION_TARGET: the state {name!r} is not reachable at {at}/States"


def _targets(state: Mapping[str, Any]) -> Iterator[str]:
    ways = [state, *(state.get("Choices") or []), *(state.get("Catch") or [])]
    yield from (way["Next"] for way in ways if way.get("Next"))
    if state.get("Default"):
        yield state["Default"]


def _in_motos_grammar(value: Any) -> Any:
    """Give the definition without what moto cannot read; `_complete` puts it back into what moto made of it."""
    if isinstance(value, list):
        return [_in_motos_grammar(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _in_motos_grammar(item) for key, item in value.items()}
    if plain.get("Type") == "Map":
        plain.pop("ItemBatcher", None)
        if isinstance(percentage := plain.get("ToleratedFailurePercentage"), int):
            plain["ToleratedFailurePercentage"] = float(percentage)
        if (reader := (plain.get("ItemReader") or {}).get("ReaderConfig") or {}).get("InputType") == "JSONL":
            reader["InputType"] = "JSON"
        processor = plain.get("ItemProcessor") or plain.get("Iterator") or {}
        if "ExecutionType" in (processor.get("ProcessorConfig") or {}):
            processor["ProcessorConfig"]["ExecutionType"] = "STANDARD"
    return plain


def _complete(states: Mapping[str, Any], declared: Mapping[str, Any], clock: ScaledClock) -> None:
    for name, state in states.items():
        about = declared[name]
        if isinstance(state, StateParallel):
            for program, branch in zip(state.branches.programs, about["Branches"], strict=True):
                _complete(program.states.states, branch["States"], clock)
        elif isinstance(state, StateMap):
            children = about.get("ItemProcessor") or about["Iterator"]
            _complete(state.iteration_component._states.states, children["States"], clock)
            state.iteration_component.item_batcher = about.get("ItemBatcher")
            if ((about.get("ItemReader") or {}).get("ReaderConfig") or {}).get("InputType") == "JSONL":
                state.item_reader.resource_output_transformer = _JsonLines()
        elif getattr(getattr(state, "resource", None), "condition", None):
            state.timeout = _SimulatedTimeout(state.timeout, clock)


class _MachineTimeout:
    """A machine's TimeoutSeconds in simulated time, for it bounds Waits."""

    def __init__(self, seconds: float, clock: ScaledClock) -> None:
        self._seconds = seconds
        self._clock = clock

    @property
    def timeout_seconds(self) -> float:
        """Give how long the interpreter may really wait."""
        return self._clock.wall_seconds(self._seconds)


class _SimulatedTimeout(Timeout):  # type: ignore[misc]
    """The timeout of a task that waits for a token or another execution: simulated, unlike an ordinary task's."""

    def __init__(self, declared: Timeout, clock: ScaledClock) -> None:
        self._declared = declared
        self._clock = clock

    def is_default_value(self) -> bool:
        """Give whether the definition names no timeout."""
        return bool(self._declared.is_default_value())

    def _eval_seconds(self, env: Environment) -> float:
        return self._clock.wall_seconds(self._declared._eval_seconds(env))


class _JsonLines(ResourceOutputTransformer):  # type: ignore[misc]
    """Items of an ItemReader, one JSON text a line."""

    def _eval_body(self, env: Environment) -> None:
        most = env.stack.pop()["MaxItemsValue"]
        lines = str(env.stack.pop()).split("\n")
        env.stack.append([json.loads(line) for line in lines if line.strip()][:most])
