"""What a chat template may be made of: the constructs, filters, tests, functions and methods that families use.

The sandbox says what a template cannot reach; this says what it has any business to mention, and is asked before the
template is staged. Data may have any plain name: messages and tools carry fields that nobody lists. What Python's own
values carry (`gi_frame`, `append`, `translate`) is let in by name alone.

Source: Hugging Face transformers, "Chat templates" and "Advanced template writing": tojson, loop controls,
raise_exception, strftime_now, namespace, generation blocks; the rest from what the templates of families do.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from string import Formatter
from types import CodeType, FrameType, FunctionType, GeneratorType, MethodType

from jinja2 import nodes

from pilotlight.adapters.template_sandbox import FILTERS, TEXT_METHODS

_CONSTRUCTS = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.NSRef, nodes.With),
    *(nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Slice, nodes.Concat),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow),
    *(nodes.For, nodes.If, nodes.Macro, nodes.Assign, nodes.AssignBlock, nodes.Break, nodes.Continue),
    *(nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr, nodes.Getitem),
)
FUNCTIONS = frozenset({"dict", "namespace", "raise_exception", "range", "strftime_now"})
_CLOSED_NAMES = frozenset({"caller", "cycler", "joiner", "kwargs", "lipsum", "self", "varargs"})
METHODS = TEXT_METHODS | {"format", "get", "items", "keys", "values"}
TESTS = frozenset(
    {"boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in"}
    | {"integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas"}
    | {"sequence", "string", "true", "undefined", "upper", "==", "!=", "<", "<=", ">", ">="}
)
_LOOP = frozenset(
    {"depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem", "revindex", "revindex0"}
)
# Python's own, and yet the names of fields: of JSON schema, of documents, of tools.
_FIELDS = frozenset({"count", "format", "index", "items", "keys", "title", "values"})
_OF_VALUES = frozenset(name for kind in (str, list, tuple, dict, int, float) for name in dir(kind)) - _FIELDS
_OF_MACHINERY = frozenset(
    name for kind in (FunctionType, MethodType, GeneratorType, CodeType, FrameType) for name in dir(kind)
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"_?(?!_)[A-Za-z0-9_]*")  # `_` and `_args` are in use; what Python keeps to itself has two
_LONGEST_WORD = 60
# Where a filter takes the name of an attribute without saying so, and where that of a filter or test.
_ATTRIBUTE_AT = {"groupby": 0, "join": 1, "max": 1, "min": 1, "rejectattr": 0, "selectattr": 0, "sort": 2, "unique": 1}
_FILTER_AT = {"map": 0}
_TEST_AT = {"reject": 0, "rejectattr": 1, "select": 0, "selectattr": 1}


def forbidden(template: nodes.Template) -> str | None:
    """Return the first construct that has no business in a chat template, with its line, or None."""
    return next((f"{why} in line {line}" for line, why in _Judgement(template).findings()), None)


class _Judgement:
    """Looks at every node of one template."""

    def __init__(self, template: nodes.Template) -> None:
        self._template = template
        self._macros = {macro.name for macro in template.find_all(nodes.Macro)}
        self._set = {name.name for name in template.find_all(nodes.Name) if name.ctx != "load"}
        self._judges: Mapping[type[nodes.Node], Callable[..., Iterator[str]]] = {
            nodes.Call: self._call,
            nodes.Filter: self._filter,
            nodes.Getattr: _getattr,
            nodes.Getitem: _getitem,
            nodes.Keyword: _keyword,
            nodes.Macro: _macro,
            nodes.Name: self._name,
            nodes.NSRef: _namespace_field,
            nodes.Test: _test,
        }

    def findings(self) -> Iterator[tuple[int, str]]:
        """Yield the line of every node that is not allowed, and what it is, in the order of the template."""
        rest: list[tuple[nodes.Node, int]] = [(self._template, 1)]
        while rest:
            node, line_above = rest.pop()
            line = node.lineno or line_above  # Jinja leaves it out where it makes two nodes of one tag
            judge = self._judges.get(type(node))
            if type(node) not in _CONSTRUCTS:
                yield line, f"the construct {type(node).__name__}"
            elif judge is not None:
                yield from ((line, why) for why in judge(node))
            rest.extend((child, line) for child in reversed(list(self._children(node))))

    def _children(self, node: nodes.Node) -> Iterator[nodes.Node]:
        """Yield what stands below a node, without what was judged with it: the callee, the function that is tested."""
        judged = node.node if isinstance(node, nodes.Call | nodes.Test) else None
        for child in node.iter_child_nodes():
            if child is not judged:
                yield child
            elif isinstance(node, nodes.Call) and isinstance(child, nodes.Getattr):
                yield child.node
            elif not (isinstance(child, nodes.Name) and child.name in FUNCTIONS | self._macros):
                yield child

    def _name(self, node: nodes.Name) -> Iterator[str]:
        if not _VARIABLE.fullmatch(node.name):
            yield f"the name {_shown(node.name)}"
        elif node.name in _CLOSED_NAMES - self._set or node.name in FUNCTIONS - self._set:
            yield f"{_shown(node.name)} as a value"

    def _call(self, node: nodes.Call) -> Iterator[str]:
        yield from _spread(node)
        match node.node:
            case nodes.Name(name=name) if name in (FUNCTIONS | self._macros) - self._set:
                return
            case nodes.Name(name=name):
                yield f"the function {_shown(name)}"
            case nodes.Getattr(attr="format", node=receiver):
                yield from _format(receiver)
            case nodes.Getattr(attr=attr) if attr not in METHODS:
                yield f"the method {_shown(attr)}"
            case nodes.Getattr():
                return
            case _:
                yield "a call of something that has no name"

    def _filter(self, node: nodes.Filter) -> Iterator[str]:
        yield from _spread(node)
        if node.name not in FILTERS:
            yield f"the filter {_shown(node.name)}"
        yield from _named_in(node, _FILTER_AT, FILTERS, "filter")
        yield from _named_in(node, _TEST_AT, TESTS, "test")
        place = _ATTRIBUTE_AT.get(node.name)
        paths = [keyword.value for keyword in node.kwargs if keyword.key == "attribute"]
        if place is not None:
            paths += node.args[place : place + 1]
        for path in paths:
            if not _is_plain_path(path):
                yield f"an attribute in the filter {node.name} that is not allowed"


def _named_in(node: nodes.Filter, places: Mapping[str, int], allowed: frozenset[str], kind: str) -> Iterator[str]:
    """Yield the filter or test that a filter is told by name, where that is not one of the allowed."""
    place = places.get(node.name)
    for argument in node.args[place : place + 1] if place is not None else ():
        name = argument.value if isinstance(argument, nodes.Const) else None
        if name not in allowed:
            yield f"the {kind} {_shown(name or 'without a fixed name')}"


def _getattr(node: nodes.Getattr) -> Iterator[str]:
    loops = isinstance(node.node, nodes.Name) and node.node.name == "loop"
    if not _is_field(node.attr) and not (loops and node.attr in _LOOP):
        yield f"the attribute {_shown(node.attr)}"


def _getitem(node: nodes.Getitem) -> Iterator[str]:
    key = node.arg.value if isinstance(node.arg, nodes.Const) else None
    if isinstance(key, str) and (key.startswith("_") or key in _OF_MACHINERY):
        yield f"the key {_shown(key)}"


def _keyword(node: nodes.Keyword) -> Iterator[str]:
    if not _PLAIN.fullmatch(node.key):
        yield f"the name {_shown(node.key)}"


def _macro(node: nodes.Macro) -> Iterator[str]:
    if not _VARIABLE.fullmatch(node.name):
        yield f"the macro {_shown(node.name)}"


def _namespace_field(node: nodes.NSRef) -> Iterator[str]:
    if not _PLAIN.fullmatch(node.attr):
        yield f"the attribute {_shown(node.attr)}"


def _test(node: nodes.Test) -> Iterator[str]:
    yield from _spread(node)
    if node.name not in TESTS:
        yield f"the test {_shown(node.name)}"


def _format(receiver: nodes.Expr) -> Iterator[str]:
    """Yield why a text's `format` is not allowed: its fields may reach into what they are given."""
    text = receiver.value if isinstance(receiver, nodes.Const) else None
    if not isinstance(text, str):
        yield "the method 'format' of a text that is not fixed"
        return
    try:
        fields = [field for _, field, _, _ in Formatter().parse(text) if field is not None]
    except ValueError:
        fields = ["{"]
    if not all(re.fullmatch(r"[A-Za-z0-9]*", field) for field in fields):
        yield "the method 'format' with fields that reach into values"


def _spread(node: nodes.Call | nodes.Filter | nodes.Test) -> Iterator[str]:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield "arguments that are spread out with *"


def _is_field(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and name not in _OF_VALUES | _OF_MACHINERY


def _is_plain_path(path: nodes.Node) -> bool:
    """Say whether the attribute that a filter is told is a number, or fixed names of data with dots between."""
    value = path.value if isinstance(path, nodes.Const) else None
    if isinstance(value, str):
        return all(part.isdecimal() or _is_field(part) for part in value.split("."))
    return isinstance(value, int) or (isinstance(path, nodes.Const) and value is None)


def _shown(word: str) -> str:
    return repr(word[:_LONGEST_WORD])
