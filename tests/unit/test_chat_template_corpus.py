"""Templates of real families render as Jinja's own sandbox renders them; hostile ones get nothing, in bounded time."""

import json
import tracemalloc
from datetime import UTC, datetime

import jinja2
import pytest
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pilotlight.adapters.chat_template import ChatTemplates
from pilotlight.adapters.template_meter import Limits
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation import ChatMessage

from tests.faults.corpus.templates import FAMILIES, REACHING_OUT, USING_UP

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
CANARY = "correct horse battery staple"
MOST_BYTES = 512 * 1024 * 1024
LEAKS = ("<class", "<function", "<module", "<bound", "<built-in", "<code", "<frame", " object at 0x", "root:", "uid=")


class Clock:
    def now(self):
        return NOW

    def pause(self, _):
        raise AssertionError("rendering does not wait")


class Generation(Extension):
    """The mark of what a model is trained on, as its content."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def reference():
    """Return the environment as transformers makes it. Source: its documentation, "Chat templates"."""

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = NOW.strftime
    return environment


CONVERSATIONS = {
    "one question": [("user", "Why is the sky blue?")],
    "with a system text": [("system", " Be brief. "), ("user", "hi\n"), ("assistant", " yes "), ("user", "  so? ")],
    "with reasoning": [("user", "1+1"), ("assistant", "<think>\nhm\n</think>\n\n2"), ("user", "2+2 <b>&</b>")],
    "other scripts": [("user", "你好 😀"), ("assistant", "ça va"), ("user", "{{ 7 * 7 }} {% raw %} ' \" \\n")],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_renders_as_in_the_reference(family, conversation):
    turns = CONVERSATIONS[conversation]
    expected = (
        reference()
        .from_string(FAMILIES[family])
        .render(
            messages=[{"role": role, "content": content} for role, content in turns],
            add_generation_prompt=True,
            bos_token="<s>",
            eos_token="</s>",
            tools=None,
            documents=None,
        )
    )

    messages = [ChatMessage(role=role, content=content) for role, content in turns]
    prompt = ChatTemplates(Clock()).render(FAMILIES[family], messages, bos_token="<s>", eos_token="</s>")

    assert prompt == expected
    assert prompt


def outcome(template):
    """Return what an attack gets, within half a second of rendering: the error, or what it rendered."""
    messages = [ChatMessage(role="user", content=CANARY)]
    try:
        return None, ChatTemplates(Clock(), Limits(seconds=0.5)).render(
            template, messages, bos_token="<s>", eos_token="</s>"
        )
    except InvalidInput as exc:
        return exc, ""


@pytest.mark.parametrize("template", REACHING_OUT)
def test_a_template_that_reaches_out_gets_nothing(template):
    refused, prompt = outcome(template)

    assert not [leak for leak in LEAKS if leak in prompt]
    if refused:
        assert CANARY not in refused.message


@pytest.mark.parametrize("template", USING_UP, ids=range(len(USING_UP)))
def test_a_template_that_uses_the_machine_up_is_refused_in_bounded_memory(template):
    tracemalloc.start()
    refused, prompt = outcome(template)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert refused
    assert prompt == ""
    assert peak < MOST_BYTES
