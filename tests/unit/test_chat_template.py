"""A chat template renders as transformers renders it, and cannot do harm."""

from datetime import UTC, datetime

import pytest
from pilotlight.adapters.chat_template import ChatTemplates
from pilotlight.adapters.template_meter import Limits
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation import ChatMessage

from local.checkpoints import tokenizer

BOS, EOS = "<s>", "</s>"


class Clock:
    def now(self):
        return datetime(2026, 11, 20, 9, 30, tzinfo=UTC)

    def pause(self, _):
        raise AssertionError("rendering does not wait")


def say(*turns):
    return [ChatMessage(role=role, content=content) for role, content in turns]


HELLO = say(("user", "hello"))


def render(template, messages=HELLO, **limits):
    return ChatTemplates(Clock(), Limits(**limits)).render(template, messages, bos_token=BOS, eos_token=EOS)


def test_deepseeks_form_asks_for_an_answer_with_its_reasoning_opened():
    messages = say(("system", "be kind"), ("user", "1+1"), ("assistant", "<think>hm</think>\n2"), ("user", "2+2"))

    prompt = ChatTemplates(Clock()).render(
        tokenizer.CHAT_TEMPLATE, messages, bos_token=tokenizer.BEGIN, eos_token=tokenizer.END
    )

    answered = "<｜begin▁of▁sentence｜>be kind<｜User｜>1+1<｜Assistant｜>2<｜end▁of▁sentence｜>"
    assert prompt == answered + "<｜User｜>2+2<｜Assistant｜><think>\n"


def test_a_llama_like_template_with_dates_macros_and_loop_variables_renders():
    template = """
{%- if strftime_now is defined %}{%- set date = strftime_now("%d %b %Y") %}{%- endif %}
{%- macro head(role) %}<|{{ role }}|>{{ '\\n' }}{% endmacro %}
{{- bos_token }}{{- date + '\\n' }}
{%- for message in messages %}
    {%- if loop.first and message['role'] == 'system' %}{%- continue %}{%- endif %}
    {{- head(message.role) + message['content'] | trim }}
    {%- if not loop.last %}{{ eos_token }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- head('assistant') }}{%- endif %}"""

    prompt = render(template, say(("system", "quiet"), ("user", " hi "), ("assistant", "yes"), ("user", "so")))

    assert prompt == "<s>20 Nov 2026\n<|user|>\nhi</s><|assistant|>\nyes</s><|user|>\nso<|assistant|>\n"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ messages | tojson }}", '[{"role": "user", "content": "hello"}]'),
        ("{{ {'a': '<b>&é'} | tojson }}", '{"a": "<b>&é"}'),
        ("{{ {'a': 1} | tojson(indent=2) }}", '{\n  "a": 1\n}'),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "hello"),
        ("{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "012"),
        ("{% if True %}\n    a\n{% endif %}\nb", "    a\nb"),
        ("{{ tools is none }}{{ documents is none }}{{ nothing is defined }}", "TrueTrueFalse"),
        ("{{ messages | map(attribute='content') | join(', ') }}", "hello"),
        ("{{ ', '.join(messages | map(attribute='role')) }}", "user"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ 'a' * 3 + 'b' ~ 1 }}{{ '%s-%02d' % ('x', 7) }}{{ '{}:{}'.format(1, 2) }}", "aaab1x-071:2"),
        ("{{ 'in 2023: {%s}{' % 1 }}{{ '{{2023 {}}}'.format(1) }}", "in 2023: {1}{{2023 1}"),
        ("{{ 'a.b'.split('.')[-1].upper().replace('B', 'c') }}", "c"),
        (
            "{% set ns = namespace(n=0) %}{% for c in 'ab' %}{% set ns.n = ns.n + loop.length %}{% endfor %}{{ ns.n }}",
            "4",
        ),
        ("{% for c in [[1, [2]], [3]] recursive %}{{ c if c is number else loop(c) }}{% endfor %}", "123"),
        ("{{ messages[::-1][0].content[1:3] }}{{ 'x\\ny' | indent(2) }}", "elx\n  y"),
        ("{{ 'hello' if 'hell' in messages[0].content and not (2 ** 3 != 8) }}", "hello"),
    ],
)
def test_what_templates_use_works_as_in_transformers(template, expected):
    assert render(template) == expected


def test_a_template_refuses_in_its_own_words():
    with pytest.raises(InvalidInput, match=r"refuses these messages\.$") as caught:
        render("{{ raise_exception('roles must alternate') }}")

    assert (caught.value.detail["field"], caught.value.detail["told"]) == ("messages", "roles must alternate")


def test_a_template_that_quotes_a_message_in_its_refusal_is_not_quoted():
    with pytest.raises(InvalidInput, match=r"refuses these messages\.$") as caught:
        render("{{ raise_exception('not this: ' + messages[0].content) }}")

    assert "told" not in caught.value.detail
    assert "hell" not in str(caught.value.detail)


@pytest.mark.parametrize(
    "template",
    [
        "{% if %}",
        "{{ messages.nothing.more }}",
        "{{ 1 / 0 }}",
        "{{ none + 'a' }}",
        "{% include 'other' %}",
        "{% import 'other' as other %}",
        "{{ messages | unheard_of }}",
    ],
)
def test_a_template_that_breaks_is_the_input_not_a_fault_of_ours(template):
    with pytest.raises(InvalidInput, match="cannot be used"):
        render(template)


def test_an_error_never_quotes_the_prompt():
    with pytest.raises(InvalidInput) as caught:
        render("{{ {}[messages[0].content] + 1 + [].index(messages[0].content) }}", say(("user", "geheim")))

    assert "geheim" not in str(caught.value)


REACHING_OUT = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'role': 'x'}) }}",
    "{{ raise_exception.__globals__.x }}",
    "{{ strftime_now.__closure__[0] }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format('')|length + ''.format.__self__.__class__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ environment.loader }}{{ environment.call() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ dict.mro() }}",
    "{{ (1).to_bytes(1000000000, 'big') }}",
    "{{ 'a'.encode() }}",
]

USING_UP = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for a in range(99999) if a > 0 %}{% for b in range(99999) if b < 0 %}x{% endfor %}{% endfor %}",
    "{{ range(10 ** 9) | list }}",
    "{{ 'a' * 10 ** 10 }}",
    "{{ 10 ** 10 * 'a' }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ (1,) * 10 ** 9 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ 2 ** (10 ** 9) }}",
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ~ '' }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|string }}",
    "{% set a = namespace(x=[1]) %}{% set b = namespace(x=[1]) %}{% for i in range(60) %}{% set a.x = [a.x, a.x] %}"
    "{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = {1: ns.x, 2: ns.x} %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}",
    "{% set x = [1] * 99999 %}{% set y = [x] * 99999 %}{{ y | string }}",
    "{% set ns = namespace(x=7) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%(a)999999999d' % {'a': 1} }}",
    "{{ '%-+999999999d' % 1 }}",
    "{{ '%.999999999f' % 1.5 }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ '{:{}}'.format(1, 999999999) }}",
    "{{ 'a' | center(999999999) }}",
    "{{ 'a'.center(999999999) }}",
    "{{ 'a'.ljust(999999999) }}",
    "{{ 'a'.zfill(999999999) }}",
    "{{ '\t'.expandtabs(999999999) }}",
    "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "{{ ('a' * 99999) | replace('', 'b' * 99999) }}",
    "{{ ('a' * 99999).join('b' * 99999) }}",
    "{{ ('b' * 99999) | join('a' * 99999) }}",
    "{{ ('a\n' * 99999) | indent(99999) }}",
    "{{ 'a' | indent(999999999, true) }}",
    "{{ [1] | tojson(indent=999999999) }}",
    "{{ [1] | batch(999999999, 'x') | list }}",
    "{{ 1.5 | round(999999999) }}",
    "{{ lipsum(999999999) }}",
    "{{ strftime_now('%999999999d') }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% for m in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "{% for m in [1, 2] recursive %}{% if loop.depth < 60 %}{{ loop([1, 2]) }}{% endif %}{% endfor %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% set x %}{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}{% endset %}{{ x }}",
    "{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{{ " + "-" * 20_000 + "1 }}",
    "x" * 200_000,
]


@pytest.mark.parametrize("template", REACHING_OUT)
def test_a_template_that_reaches_out_gets_nothing(template):
    with pytest.raises(InvalidInput):
        render(template)


@pytest.mark.parametrize("template", USING_UP, ids=lambda template: template[:50])
def test_a_template_that_would_use_the_machine_up_is_refused_in_time(template):
    with pytest.raises(InvalidInput, match="cannot be used"):
        render(template, seconds=0.5)


def test_a_long_conversation_stays_well_within_the_bounds():
    messages = say(*[("user" if turn % 2 == 0 else "assistant", "word " * 2000) for turn in range(401)])

    prompt = render(tokenizer.CHAT_TEMPLATE, messages)

    assert len(prompt) > 4_000_000


def test_a_filter_over_all_messages_within_a_loop_over_all_messages_is_affordable():
    messages = say(*[("user" if turn % 2 == 0 else "assistant", "word " * 200) for turn in range(301)])
    template = (
        "{% for m in messages %}{% if m == (messages | selectattr('role', 'equalto', 'user') | list | last) %}"
        "{{ loop.index }} of {{ messages | length }}{% endif %}{% endfor %}"
        "{{ messages | map(attribute='content') | join('--') }}"
    )

    prompt = render(template, messages)

    assert "301 of 301" in prompt


def test_a_refused_rendering_leaves_the_next_one_alone():
    templates = ChatTemplates(Clock(), Limits(steps=50))
    template = "{% for i in range(messages | length) %}{% for j in range(40) %}.{% endfor %}{% endfor %}"
    with pytest.raises(InvalidInput, match="more than 50 steps"):
        templates.render(template, HELLO * 3, bos_token=BOS, eos_token=EOS)

    assert templates.render("{{ messages[0].content }}", HELLO, bos_token=BOS, eos_token=EOS) == "hello"


def test_a_template_is_compiled_once():
    templates = ChatTemplates(Clock())

    for _ in range(3):
        templates.render("{{ bos_token }}", HELLO, bos_token=BOS, eos_token=EOS)

    assert templates._compiled.cache_info().misses == 1
