"""A bound on how deeply a template nests, looked at before it is compiled: nothing interrupts the compiler.

Python's compiler takes time that grows with the cube of the depth: a sum of 300 terms, which is 300 levels of calls
once Jinja has made code of it, took a minute. Templates in use have some 20 levels.
"""

from jinja2 import nodes

from pilotlight.adapters.template_meter import TooCostlyError

MOST_LEVELS = 64
MOST_EFFORT = 1_500_000  # nodes, each times the square of its depth: about two seconds; those in use have a fifth


def require_tame_nesting(template: nodes.Template, most_effort: int = MOST_EFFORT) -> int:
    """Return the effort of compiling a template, which is in bounded time. Raises: TooCostlyError."""
    level: list[nodes.Node] = [template]
    depth = effort = 0
    while level:
        depth += 1
        effort += len(level) * depth**2
        if depth > MOST_LEVELS or effort > most_effort:
            raise TooCostlyError("it nests too deeply, or is too large, to be compiled")
        level = [child for node in level for child in node.iter_child_nodes()]
    return effort
