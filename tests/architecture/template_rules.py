"""What the template keeps: each rule takes it and yields what is wrong. (cfn-lint reads the rest: `make template`.)"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.machine_rules import Machine
from tools import cloudformation
from tools.cloudformation import FUNCTION, STATE_MACHINE

API_FOLDER = "api"
# A `*` alone, or in an ARN that names nothing of this stack's: both reach what others made.
EVERYTHING = re.compile(r"""(["'])\*\1|\barn:(?!\S*\$\{AWS::StackName\})(?!\S*\.Arn\})\S*\*""")
RESOURCE = re.compile(r"\bResource:(.*)")
# Events whose sender waits for the function and sees its error.
WAITED_FOR = frozenset({"Api", "SQS"})
Route = tuple[str, str]


@dataclass(frozen=True)
class Template:
    """template.yaml as text and as data, with questions that several rules ask."""

    text: str

    @cached_property
    def data(self) -> dict[str, Any]:
        return cloudformation.parse(self.text)

    @cached_property
    def functions(self) -> Mapping[str, dict[str, Any]]:
        """Each function's properties over the Globals', by logical id."""
        shared = self.data.get("Globals", {}).get("Function", {})
        return {name: {**shared, **own} for name, own in cloudformation.of_type(self.data, FUNCTION).items()}

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """The folder under functions/ of each function, by logical id."""
        return {name: str(own.get("CodeUri", "")).strip("./").split("/")[-1] for name, own in self.functions.items()}

    @cached_property
    def routes(self) -> list[tuple[str, Route]]:
        """Logical id of the function, and method and path, of every Api event."""
        return [
            (name, (event["Properties"]["Method"].upper(), event["Properties"]["Path"]))
            for name, own in self.functions.items()
            for event in (own.get("Events") or {}).values()
            if event["Type"] == "Api"
        ]

    def machines(self, root: Path) -> list[Machine]:
        """Return the state machines, read from their files, with what this template hands them."""
        return [
            Machine(
                name=found.path.name.removesuffix(".asl.yaml"),
                definition=yaml.safe_load(found.path.read_text()),
                functions={
                    key: self.folders[value["Fn::GetAtt"][0]]
                    for key, value in found.substitutions.items()
                    if isinstance(value, dict) and value.get("Fn::GetAtt", [""])[0] in self.folders
                },
                substitutions=frozenset(found.substitutions),
                seconds={self.folders[name]: int(own.get("Timeout", 3)) for name, own in self.functions.items()},
            )
            for found in cloudformation.machines(self.data, root)
        ]


def names_functions_after_their_folders(template: Template) -> Iterator[str]:
    for name, own in template.functions.items():
        folder = template.folders[name]
        code = str(own.get("CodeUri", "")).strip("./")
        if code != f"functions/{folder}":
            yield f"{name}: CodeUri {code!r} is not functions/<verb_noun>."
        wanted = "${AWS::StackName}-" + folder.replace("_", "-")
        given = (own.get("FunctionName") or {}).get("Fn::Sub", "")
        if given != wanted and not (folder == API_FOLDER and given.startswith(wanted)):
            yield f"{name}: FunctionName is {given!r}; its folder says {wanted!r}."
        handler = "app.app" if folder == API_FOLDER else "handler.handler"
        if own.get("Handler") != handler:
            yield f"{name}: Handler is {own.get('Handler')!r}, not {handler!r}."


def explains_every_star(template: Template) -> Iterator[str]:
    """A `*` for more than the stack's own things has its reason on its line, or on a line of its own above it."""
    lines = template.text.splitlines()
    for number, resource in _resource_lines(lines):
        above = lines[number - 1].strip() if number else ""
        if EVERYTHING.search(resource.partition(" #")[0]) and " #" not in resource and not above.startswith("#"):
            yield f"template.yaml:{number + 1} allows what others made and does not say why beside it."


def _resource_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield what each line says of a statement's resources: behind the word, or as an item of the list under it."""
    inside = None
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and (depth < inside or not line.lstrip().startswith(("-", "#"))):
            inside = None
        if said := RESOURCE.search(line.partition(" #")[0]):
            inside = depth if not said[1].strip() else None
            yield number, line[said.start() :]
        elif inside is not None:
            yield number, line


def keeps_secrets_out_of_variables(template: Template) -> Iterator[str]:
    """Variables of functions are read by whoever may describe them: they name a secret, and do not hold it."""
    hidden = {name for name, own in template.data.get("Parameters", {}).items() if own.get("NoEcho")}
    for name, own in {"Globals": template.data.get("Globals", {}).get("Function", {}), **template.functions}.items():
        for variable, value in own.get("Environment", {}).get("Variables", {}).items():
            held = str(value)
            if "{{resolve:" in held or any(f"'{each}'" in held or f"${{{each}}}" in held for each in hidden):
                yield f"{name}: the variable {variable} holds a secret. Name where it is kept."


def keeps_logs_for_a_while(template: Template) -> Iterator[str]:
    for name, group in cloudformation.of_type(template.data, "AWS::Logs::LogGroup").items():
        if not group.get("RetentionInDays"):
            yield f"{name} keeps its logs for ever: give it RetentionInDays."
    named = str(cloudformation.of_type(template.data, "AWS::Logs::LogGroup"))
    for name, own in template.functions.items():
        target = (own.get("LoggingConfig") or {}).get("LogGroup", {})
        if not target and f"${{{name}}}" not in named and template.folders[name].replace("_", "-") not in named:
            yield f"{name} has no log group of the template, so its logs are kept for ever."


def has_no_route_twice(template: Template) -> Iterator[str]:
    routes = [route for _, route in template.routes]
    for method, path in sorted({route for route in routes if routes.count(route) > 1}):
        yield f"{method} {path} is declared twice."
    for name, (method, path) in template.routes:
        if template.folders[name] != API_FOLDER:
            yield f"{method} {path} goes to {name}, which is not the API."
        if method == "ANY" or "+" in path:
            yield f"{method} {path}: Chalice routes by the resource's path, so every route is declared by itself."


def catches_what_asynchronous_callers_drop(template: Template) -> Iterator[str]:
    """A queue that feeds a function has a dead-letter queue, and answers for its messages one by one.

    A function that events start has a queue for those that it does not take; a tick that comes again needs none.
    """
    queues = cloudformation.of_type(template.data, "AWS::SQS::Queue")
    for name, own in template.functions.items():
        for event_name, event in (own.get("Events") or {}).items():
            ticks = event["Type"] == "Schedule" and _is_never_repeated(event["Properties"])
            if event["Type"] not in WAITED_FOR and not ticks and "DeadLetterQueue" not in own:
                yield f"{name}.{event_name} is dropped where {name} fails: give it a DeadLetterQueue."
            if event["Type"] != "SQS":
                continue
            queue = (event["Properties"].get("Queue") or {}).get("Fn::GetAtt", [""])[0]
            if "FunctionResponseTypes" not in event["Properties"]:
                yield f"{name}.{event_name} fails a whole batch for one message: ReportBatchItemFailures."
            if "RedrivePolicy" not in queues.get(queue, {}) and "dead" not in queue.lower():
                yield f"{name}.{event_name} reads {queue or 'a queue'}, which has no dead-letter queue."


def _is_never_repeated(schedule: Mapping[str, Any]) -> bool:
    return (schedule.get("RetryPolicy") or {}).get("MaximumRetryAttempts") == 0


def names_machines_after_their_files(template: Template) -> Iterator[str]:
    for name, own in cloudformation.of_type(template.data, STATE_MACHINE).items():
        path = str(own.get("DefinitionUri", ""))
        wanted = "${AWS::StackName}-" + Path(path).name.removesuffix(".asl.yaml").replace("_", "-")
        given = (own.get("Name") or {}).get("Fn::Sub", "")
        if not path.startswith("statemachines/") or not path.endswith(".asl.yaml"):
            yield f"{name}: DefinitionUri {path!r} is not statemachines/<name>.asl.yaml."
        elif given != wanted:
            yield f"{name}: Name is {given!r}; its file says {wanted!r}."


RULES = (
    names_functions_after_their_folders,
    names_machines_after_their_files,
    explains_every_star,
    keeps_secrets_out_of_variables,
    keeps_logs_for_a_while,
    has_no_route_twice,
    catches_what_asynchronous_callers_drop,
)


def chalice_routes(text: str) -> Iterator[Route]:
    """Yield method and path of every `app.view("METHOD", "/path")` in a module's text.

    Raises: ValueError for a route that is computed: what the template must equal has to be readable.
    """
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "app.view"):
            continue
        try:
            method, path = (ast.literal_eval(argument) for argument in node.args)
        except ValueError as computed:
            raise ValueError(f"Line {node.lineno}: a route's method and path are written out.") from computed
        yield method.upper(), path
