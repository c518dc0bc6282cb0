"""An environment in which a stranger's template can neither reach out nor use the machine up.

Jinja's sandbox keeps templates away from attributes, imports and files. What it leaves open is cost: loops within
loops, `x = x ~ x`, `"a" * 10**10`, `"%99999999999d"`. Here every loop, call, join and operator that can grow is
counted by the rendering's `Meter`, and only filters and methods whose cost is known are there at all.
"""

import json
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pilotlight.adapters.template_meter import Meter, TooCostlyError

_METER: ContextVar[Meter] = ContextVar("meter")
_MOST_INDENT = 64

# Filters that write their input out as text; all others cost no more than their input is long.
_WRITING_FILTERS = frozenset(
    {"capitalize", "e", "escape", "format", "indent", "join", "lower", "replace", "safe", "string", "title"}
    | {"tojson", "trim", "upper"}
)
FILTERS = _WRITING_FILTERS | frozenset(
    {"abs", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last", "length"}
    | {"list", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"}
)
TEXT_METHODS = frozenset(
    {"capitalize", "casefold", "count", "endswith", "find", "index", "join", "lower", "lstrip", "partition"}
    | {"removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split"}
    | {"splitlines", "startswith", "strip", "swapcase", "title", "upper"}
    | {"isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper"}
)
_CLOSED = (int, float, complex, bytes, bytearray, memoryview, type)  # nothing of these is needed; to_bytes is an attack


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Count everything that happens within against a meter; compiling also computes what is constant."""
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


class _CountingGenerator(CodeGenerator):
    """Sends every loop's items, every `~` and every literal through the environment, where they are counted."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - Jinja finds it by this name
        node.iter = nodes.Call(nodes.EnvironmentAttribute("counted"), [node.iter], [], None, None)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - as above
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802 - as above
        self.write("environment.built(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802 - as above
        self.write("environment.built(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802 - as above
        if node.ctx != "load":  # the names that a loop or a set assigns to
            super().visit_Tuple(node, frame)
            return
        self.write("environment.built(")
        super().visit_Tuple(node, frame)
        self.write(")")


class GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}`: marks what a model is trained on; for us it is its content."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return the content."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The environment that transformers renders chat templates in, with everything counted.

    Source: Hugging Face transformers, "Chat templates": trim_blocks, lstrip_blocks, loop controls, a `tojson` that
    does not escape HTML, `raise_exception` and `strftime_now`.
    """

    code_generator_class = _CountingGenerator
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, GenerationTag], finalize=_measured
        )
        self.filters["tojson"] = _to_json
        self.filters = {name: _metered_filter(name, self.filters[name]) for name in sorted(FILTERS)}
        self.globals.pop("lipsum")

    def counted(self, items: Any) -> Iterator[Any]:
        """Return a loop's items, a step each."""
        return _METER.get().counted(items)

    def concat(self, pieces: Any) -> str:
        """Return pieces of output as one text."""
        return _METER.get().concat(pieces)

    def joined(self, values: tuple[Any, ...]) -> str:
        """Return what `~` makes of its operands."""
        _METER.get().write(values)
        return "".join(map(str, values))

    def built(self, value: Any) -> Any:
        """Return a list, tuple or dict that a template wrote, once it is known not to be too large written out."""
        _METER.get().measure(value)
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute an operator whose result can be much larger than its operands."""
        meter = _METER.get()
        _require_affordable(meter, operator, left, right)
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, list | tuple):
            meter.measure(result)
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in Jinja
        """Call what a template calls; the names leave every keyword to the template, as in Jinja."""
        meter = _METER.get()
        meter.step()
        if getattr(__obj, "__func__", None) is TemplateSandbox.counted:
            return __obj(*args)
        meter.measure([*args, *kwargs.values()])
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            args = _affordable_method(meter, __obj.__name__, owner, args)
        return super().call(__context, __obj, *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Say whether a template may use an attribute."""
        if isinstance(obj, _CLOSED) or (isinstance(obj, str) and attr not in TEXT_METHODS):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return `str.format` as a template may use it."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            _METER.get().require_tame_braces(value.__self__)
        return wrapped


def _measured(value: Any) -> Any:
    """Return a value that is about to be written out, once it is known not to be too long."""
    if not isinstance(value, str):
        _METER.get().write(value)
    return value


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return a value as JSON, without escapes for HTML."""
    if indent is not None and not 0 <= int(indent) <= _MOST_INDENT:
        raise TooCostlyError(f"it indents by more than {_MOST_INDENT}")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _metered_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that is charged for what it does; Jinja's marks on the function stay on it."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def charged(*args: Any, **kwargs: Any) -> Any:
        meter = _METER.get()
        meter.step()
        given = list(args[passed:])
        if given and isinstance(given[0], Iterator):
            given[0] = list(meter.counted(given[0]))
        if name in _WRITING_FILTERS:
            _require_affordable_filter(meter, name, given, kwargs)
        return function(*args[:passed], *given, **kwargs)

    return charged


def _require_affordable_filter(meter: Meter, name: str, given: list[Any], kwargs: dict[str, Any]) -> None:
    """Pass a filter whose text is in proportion to what it is given. Raises: TooCostlyError."""
    size = meter.write([*given, *kwargs.values()])
    match name:
        case "join":
            items = given[0]
            meter.charge(
                (len(items) if isinstance(items, Sized) else 1) * len(str(_argument(given, kwargs, 1, "d", "")))
            )
        case "replace":
            old, new = _argument(given, kwargs, 1, "old", ""), _argument(given, kwargs, 2, "new", "")
            _charge_replaced(meter, str(given[0]), str(old), str(new))
        case "indent":
            width = _argument(given, kwargs, 1, "width", 4)
            meter.charge(size * (1 + (len(width) if isinstance(width, str) else abs(int(width)))))
        case "format":
            meter.require_tame_percent(str(given[0]))


def _argument(given: list[Any], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return given[place] if len(given) > place else kwargs.get(name, default)


def _affordable_method(meter: Meter, name: str, owner: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a method of a text whose result is in proportion. Raises: TooCostlyError."""
    meter.charge(len(owner))
    if name == "join" and args:
        items = list(meter.counted(args[0]))
        meter.charge(meter.measure(items) + len(owner) * len(items))
        return (items, *args[1:])
    if name == "replace" and len(args) > 1 and isinstance(args[0], str) and isinstance(args[1], str):
        _charge_replaced(meter, owner, args[0], args[1])
    return args


def _charge_replaced(meter: Meter, text: str, old: str, new: str) -> None:
    meter.charge(len(text) + text.count(old) * len(new))


def _require_affordable(meter: Meter, operator: str, left: Any, right: Any) -> None:
    """Pass an operation whose result is in proportion. Raises: TooCostlyError."""
    if operator == "%" and isinstance(left, str):
        meter.require_tame_percent(left)
        meter.write(right)
    elif operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        meter.charge(len(left) + len(right))
    elif operator == "*" and isinstance(left, str | list | tuple) and isinstance(right, int):
        meter.charge(len(left) * max(0, right))
    elif operator == "*" and isinstance(right, str | list | tuple) and isinstance(left, int):
        meter.charge(len(right) * max(0, left))
    elif operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
        meter.require_small_number(operator, left, right)
