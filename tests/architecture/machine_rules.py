"""What every state machine keeps: each rule takes one machine and yields what is wrong with it.

Step Functions compares error names exactly and knows no inheritance, and a definition with a dangling name still
deploys: what no service checks is checked here. (asl-validator, in `make machines`, reads the grammar.)
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

OUR_ERRORS = frozenset({"Retryable", "Terminal"})
# What the Lambda service itself reports when it, and not our code, could not run a call.
LAMBDA_ERRORS = frozenset(
    {
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
        "Runtime.ExitError",
    }
)
# What passes by itself, under each of its names; a task may be given again after every one of them.
PASSING = LAMBDA_ERRORS | {"Retryable", "States.Timeout"}
PLACEHOLDER = re.compile(r"^\$\{(\w+)\}$")
CALLBACK = "arn:aws:states:::lambda:invoke.waitForTaskToken"


@dataclass(frozen=True)
class Machine:
    """A definition as it is written (placeholders and all), and which folder each placeholder's function has."""

    name: str
    definition: Mapping[str, Any]
    functions: Mapping[str, str] = field(default_factory=dict)
    """Placeholder to folder under functions/: {"ProbeDeploymentArn": "probe_deployment"}."""
    substitutions: Set[str] = frozenset()
    seconds: Mapping[str, int] = field(default_factory=dict)
    """Folder under functions/ to the seconds that the function may run."""

    def workflows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the top level, and each level nested in a Map or Parallel: states can only go to states beside them."""
        waiting = [self.definition]
        while waiting:
            workflow = waiting.pop()
            yield workflow
            for state in workflow["States"].values():
                waiting += state.get("Branches", [])
                waiting += [state[inner] for inner in ("ItemProcessor", "Iterator") if inner in state]

    def states(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for workflow in self.workflows():
            yield from workflow["States"].items()

    def tasks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((name, state) for name, state in self.states() if state["Type"] == "Task")


def says_what_it_promises(machine: Machine) -> Iterator[str]:
    if not machine.definition.get("Comment"):
        yield f"{machine.name} has no Comment at its top: what does it promise?"
    if not machine.definition.get("TimeoutSeconds"):
        yield f"{machine.name} may run for a year: it has no TimeoutSeconds."
    for name, state in machine.states():
        if not state.get("Comment"):
            yield f"{machine.name}.{name} has no Comment."


def calls_the_function_of_its_name(machine: Machine) -> Iterator[str]:
    for name, state in machine.tasks():
        placeholder = PLACEHOLDER.match(str(_function(state)))
        if placeholder is None:
            yield f"{machine.name}.{name} calls {_function(state)!r}; AWS is changed from our Lambdas only: ${{…Arn}}."
        elif placeholder[1] not in machine.functions:
            yield f"{machine.name}.{name}: {placeholder[0]} is no function in the template's DefinitionSubstitutions."
        elif machine.functions[placeholder[1]] != snake_case(name):
            yield f"{machine.name}.{name} calls functions/{machine.functions[placeholder[1]]}: give both one name."


def uses_every_substitution(machine: Machine) -> Iterator[str]:
    used = set(re.findall(r"\$\{(\w+)\}", str(machine.definition)))
    yield from (f"{machine.name}: ${{{name}}} stands for nothing." for name in sorted(used - machine.substitutions))
    yield from (f"{machine.name}: {name} is handed in and not used." for name in sorted(machine.substitutions - used))


def bounds_retries_and_catches_every_task(machine: Machine) -> Iterator[str]:
    for name, state in machine.tasks():
        where = f"{machine.name}.{name}"
        if "TimeoutSeconds" not in state and "TimeoutSecondsPath" not in state:
            yield f"{where} has no TimeoutSeconds."
        if not state.get("Retry"):
            yield f"{where} has no Retry for what passes by itself."
        elif missing := _passing(state) - {error for retry in state["Retry"] for error in retry["ErrorEquals"]}:
            yield f"{where} does not retry {', '.join(sorted(missing))}."
        if not state.get("Catch"):
            yield f"{where} has no Catch."
        for retry in state.get("Retry", []):
            if retry.get("MaxAttempts") != 0 and retry.get("JitterStrategy") != "FULL":
                yield f"{where} retries {retry['ErrorEquals']} without full jitter."
        for catch in state.get("Catch", []):
            if "ResultPath" not in catch or catch["ResultPath"] == "$":
                yield f"{where} catches {catch['ErrorEquals']} and loses its input: give it a ResultPath."


def _passing(state: Mapping[str, Any]) -> Set[str]:
    """Return what passes by itself; the timeout of a task that waits for its token is its deadline, and does not."""
    return PASSING - {"States.Timeout"} if state["Resource"] == CALLBACK else PASSING


def waits_longer_than_its_function_may_run(machine: Machine) -> Iterator[str]:
    """A task that gives up first would be retried beside the call that is still at work."""
    for name, state in machine.tasks():
        if state["Resource"] == CALLBACK:
            continue
        may_run = machine.seconds.get(snake_case(name), 0)
        if state.get("TimeoutSeconds", may_run + 1) <= may_run:
            yield f"{machine.name}.{name} waits {state['TimeoutSeconds']} s for a function that may run {may_run} s."


def names_errors_that_exist(machine: Machine) -> Iterator[str]:
    for name, state in machine.states():
        for handler in [*state.get("Retry", []), *state.get("Catch", [])]:
            for error in handler["ErrorEquals"]:
                if error not in OUR_ERRORS | LAMBDA_ERRORS and not error.startswith("States."):
                    yield f"{machine.name}.{name} waits for {error}, which nothing raises under that name."
        last = [handler["ErrorEquals"] for handler in state.get("Catch", [])][-1:]
        if last and last != [["States.ALL"]]:
            yield f"{machine.name}.{name}: its last Catch is {last[0]}; the rest would end the execution unseen."


def ends_every_failure_in_fail(machine: Machine) -> Iterator[str]:
    """What is caught as Terminal or States.ALL is a failure; a narrower Catch may be a way on.

    An item of a Map may hand its failure out as a mark, where the Map has a Choice that looks at the mark.
    """
    marks = _marks(machine)
    for workflow in machine.workflows():
        for name, state in workflow["States"].items():
            for catch in state.get("Catch", []):
                if not {"Terminal", "States.ALL"} & set(catch["ErrorEquals"]):
                    continue
                for ending in sorted(_endings(workflow["States"], catch["Next"]) - marks):
                    yield f"{machine.name}.{name}: a failure goes to {catch['Next']} and ends green in {ending}."


RULES = (
    says_what_it_promises,
    calls_the_function_of_its_name,
    uses_every_substitution,
    bounds_retries_and_catches_every_task,
    waits_longer_than_its_function_may_run,
    names_errors_that_exist,
    ends_every_failure_in_fail,
)


def snake_case(name: str) -> str:
    """Return ProbeDeployment as probe_deployment."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def next_states(state: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a state goes when it succeeds."""
    yield from (choice["Next"] for choice in state.get("Choices", []))
    yield from (state[way] for way in ("Next", "Default") if way in state)


def _marks(machine: Machine) -> set[str]:
    """Return the states that end an item of a Map with nothing but a mark that a Choice of the machine looks at."""
    looked_at = str([state["Choices"] for state in machine.definition["States"].values() if "Choices" in state])
    return {
        name
        for name, state in machine.states()
        if name not in machine.definition["States"]
        and state.get("End")
        and state.get("Parameters")
        and all(value is True and f".{mark}[0]" in looked_at for mark, value in state["Parameters"].items())
    }


def _function(state: Mapping[str, Any]) -> Any:
    if state["Resource"] == CALLBACK:
        return state.get("Parameters", {}).get("FunctionName")
    return state["Resource"]


def _endings(states: Mapping[str, Any], start: str) -> set[str]:
    """Return the states, reachable from here without a further failure, in which the workflow ends well."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in states:
            seen.add(name)
            waiting += next_states(states[name])
    return {name for name in seen if states[name]["Type"] == "Succeed" or states[name].get("End")}
