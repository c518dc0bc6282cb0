"""Who may know whom, read from the syntax tree: each rule takes one module and yields what is wrong with it.

A rule never imports what it judges, so it holds for code that does not run yet, too.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
CORE = "layers/core/python"
PACKAGES = (f"{CORE}/pilotlight", "functions", "local", "client/pilotlight_client", "tools")

# What each part may import beside the standard library. The longest prefix of a module's name decides; a trailing
# part of a name in the set covers what is below it.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "pilotlight": frozenset(),
    "pilotlight.domain": frozenset({"pydantic", "pilotlight.domain"}),
    "pilotlight.contracts": frozenset({"pydantic", "pilotlight.domain", "pilotlight.contracts"}),
    "pilotlight.ports": frozenset({"pydantic", "pilotlight.domain", "pilotlight.ports"}),
    "pilotlight.services": frozenset(
        {"pydantic", "ulid", "pilotlight.domain", "pilotlight.contracts", "pilotlight.ports", "pilotlight.services"}
    ),
    "pilotlight.adapters": frozenset(
        {"pydantic", "ulid", "boto3", "botocore", "awscrt", "urllib3", "jinja2", "mypy_boto3", "aws_lambda_powertools"}
        | {"pilotlight.domain", "pilotlight.ports", "pilotlight.adapters"}
    ),
    "pilotlight.settings": frozenset({"pydantic", "pilotlight.domain"}),
    "pilotlight.wiring": frozenset(
        {"boto3", "botocore", "aws_lambda_powertools"}
        | {"pilotlight.domain", "pilotlight.ports", "pilotlight.adapters", "pilotlight.settings"}
    ),
    "pilotlight.runtime": frozenset({"pilotlight"}),
    "pilotlight.answering_runtime": frozenset({"pilotlight"}),
    "pilotlight.endpoint_runtime": frozenset({"pilotlight"}),
    "pilotlight.task": frozenset({"pydantic", "aws_lambda_powertools", "pilotlight.domain", "pilotlight.runtime"}),
    "pilotlight.reconciler": frozenset({"pilotlight"}),
    "pilotlight.routes": frozenset({"pydantic", "pilotlight.domain", "pilotlight.contracts"}),
    "pilotlight.http": frozenset(
        {"pydantic", "chalice", "aws_lambda_powertools", "pilotlight.domain", "pilotlight.routes"}
    ),
    "functions": frozenset(
        {"pydantic", "aws_lambda_powertools"}
        | {"pilotlight.domain", "pilotlight.contracts", "pilotlight.services", "pilotlight.runtime"}
        | {"pilotlight.reconciler", "pilotlight.task"}
    ),
    "functions.api": frozenset(
        {"pydantic", "aws_lambda_powertools", "chalice", "functions.api", "pilotlight.http", "pilotlight.routes"}
        | {"pilotlight.domain", "pilotlight.contracts", "pilotlight.services", "pilotlight.runtime"}
    ),
}
# What each part may never import, where everything else is its own affair.
NEVER_IMPORTS: Mapping[str, frozenset[str]] = {
    "local": frozenset({"pilotlight", "functions", "tests"}),
    "pilotlight_client": frozenset({"pilotlight", "functions", "local", "tests"}),
    "tools": frozenset({"pilotlight", "functions", "local", "pilotlight_client", "tests"}),
    # These read what the routes promise.
    "tools.openapi": frozenset({"functions", "local", "pilotlight_client", "tests"}),
    "tools.openapi_schemas": frozenset({"functions", "local", "pilotlight_client", "tests"}),
    "tools.worst_case": frozenset({"functions", "local", "pilotlight_client", "tests"}),
}
GRAB_BAGS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff", "lib", "base"})
LONGEST_MODULE = 450
LONGEST_HANDLER = 45
READS_ENVIRONMENT = ("pilotlight.settings", "pilotlight.runtime")
API_EDGE = "pilotlight.http"


@dataclass(frozen=True)
class Module:
    """One Python file: where it lies, and what is in it."""

    path: PurePosixPath
    text: str
    neighbours: frozenset[str] = frozenset()
    """Modules of the same folder: a Lambda's own folder is on its path."""

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def name(self) -> str:
        """The dotted name under which others import it."""
        path = str(self.path).removeprefix(f"{CORE}/").removeprefix("client/").removesuffix(".py")
        return path.removesuffix("/__init__").replace("/", ".")

    @property
    def is_deployed(self) -> bool:
        return self.name.partition(".")[0] in {"pilotlight", "functions"}

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yield line and dotted name of everything imported, wherever in the file."""
        for node in ast.walk(self.tree):
            match node:
                case ast.Import():
                    yield from ((node.lineno, alias.name) for alias in node.names)
                case ast.ImportFrom(level=0, module=str(module)):
                    yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
                case ast.ImportFrom():
                    package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
                    base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                    where = f"{base}.{node.module}" if node.module else base
                    yield from ((node.lineno, f"{where}.{alias.name}") for alias in node.names)


def modules() -> list[Module]:
    """Return every Python file of ours that is not a test."""
    return [
        Module(
            PurePosixPath(path.relative_to(ROOT)),
            path.read_text(),
            frozenset(other.stem for other in path.parent.iterdir() if other.suffix == ".py" or other.is_dir()),
        )
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def imports_only_what_it_may(module: Module) -> Iterator[str]:
    part = _longest_prefix(module.name, MAY_IMPORT)
    if part is None:
        return
    allowed = MAY_IMPORT[part] | (module.neighbours if module.name.startswith("functions.") else frozenset())
    for line, imported in module.imports():
        if not _is_standard(imported) and not _is_under(imported, allowed):
            yield f"{module.path}:{line} imports {imported}; {part} may import {sorted(MAY_IMPORT[part])}."


def imports_nothing_forbidden(module: Module) -> Iterator[str]:
    part = _longest_prefix(module.name, NEVER_IMPORTS)
    for line, imported in module.imports() if part else ():
        if part and _is_under(imported, NEVER_IMPORTS[part]):
            yield f"{module.path}:{line} imports {imported}; {part} stands on its own."


def functions_do_not_import_one_another(module: Module) -> Iterator[str]:
    if not module.name.startswith("functions."):
        return
    own = ".".join(module.name.split(".")[:2])
    for line, imported in module.imports():
        if imported.startswith("functions.") and not _is_under(imported, {own}):
            yield f"{module.path}:{line} imports {imported}: one Lambda's folder never reaches into another's."


def names_client_errors_only_in_adapters(module: Module) -> Iterator[str]:
    if not module.is_deployed or _is_under(module.name, {"pilotlight.adapters"}):
        return
    for node in ast.walk(module.tree):
        named = {getattr(node, "id", None), getattr(node, "attr", None)}
        named |= {alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)}
        if named & {"ClientError", "BotoCoreError"}:
            yield f"{module.path}:{getattr(node, 'lineno', 0)} names a botocore error; an adapter translates those."


def reads_the_environment_only_in_settings(module: Module) -> Iterator[str]:
    if not module.is_deployed or module.name in READS_ENVIRONMENT:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"os.environ", "os.getenv", "os.environb"}:
            yield f"{module.path}:{node.lineno} reads the environment; settings.py does, and hands it on."
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        ):
            yield f"{module.path}:{node.lineno} takes the environment from os; settings.py reads it."


def catches_everything_only_at_the_edge(module: Module) -> Iterator[str]:
    if _is_under(module.name, {API_EDGE, "local"}):  # local/ plays the services: ruff's BLE judges it case by case
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
            yield f"{module.path}:{node.lineno} catches everything; only the API's edge may."


def has_a_name_that_says_something(module: Module) -> Iterator[str]:
    for part in module.name.split("."):
        if part in GRAB_BAGS:
            yield f"{module.path}: {part!r} names no idea."


def is_short(module: Module) -> Iterator[str]:
    lines = len(module.text.splitlines())
    longest = {"handler.py": LONGEST_HANDLER}.get(module.path.name, LONGEST_MODULE)
    if lines > longest:
        yield f"{module.path} has {lines} lines, of {longest} at most: it is two things by now."


RULES = (
    imports_only_what_it_may,
    imports_nothing_forbidden,
    functions_do_not_import_one_another,
    names_client_errors_only_in_adapters,
    reads_the_environment_only_in_settings,
    catches_everything_only_at_the_edge,
    has_a_name_that_says_something,
    is_short,
)


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in caught)


def _is_standard(imported: str) -> bool:
    return imported.partition(".")[0] in sys.stdlib_module_names


def _is_under(name: str, prefixes: frozenset[str] | set[str]) -> bool:
    """Return whether a dotted name is one of these or below one; `mypy_boto3` covers `mypy_boto3_s3`, too."""
    return any(
        name == prefix or name.startswith(f"{prefix}.") or (prefix == "mypy_boto3" and name.startswith("mypy_boto3_"))
        for prefix in prefixes
    )


def _longest_prefix(name: str, table: Mapping[str, frozenset[str]]) -> str | None:
    return max((prefix for prefix in table if _is_under(name, {prefix})), key=len, default=None)
