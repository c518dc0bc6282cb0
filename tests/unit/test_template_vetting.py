"""A chat template is judged by what it is made of, and by a few conversations, before it is staged."""

from datetime import UTC, datetime

import pytest
from pilotlight.adapters.template_meter import Limits
from pilotlight.adapters.template_vetting import TemplateVetting

from local.checkpoints import tokenizer
from tests.fakes import ManualClock
from tests.faults.corpus.templates import FAMILIES, REACHING_OUT, USING_UP

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def objections(*templates, limits=None):
    vetting = TemplateVetting(ManualClock(NOW), *([limits] if limits else []))
    return vetting.objections(templates, bos_token="<s>", eos_token="</s>")


def objection(template):
    (found,) = objections(template)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_accepted(family):
    assert objection(FAMILIES[family]) is None


def test_the_templates_of_our_own_checkpoints_are_accepted():
    assert objection(tokenizer.CHAT_TEMPLATE) is None


@pytest.mark.parametrize("template", [*REACHING_OUT, *USING_UP], ids=range(len(REACHING_OUT + USING_UP)))
def test_hostile_templates_are_refused(template):
    assert objection(template)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "no template at all",
        "{{ messages | tojson(indent=2, ensure_ascii=False) }}",
        "{{ messages | map(attribute='content') | join(', ') }}",
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content.0') | list | length }}",
        "{{ messages | rejectattr('role', 'in', ['tool']) | sort(attribute='role') | groupby('role') }}",
        "{{ messages | selectattr('tool_calls', 'defined') | list | length }}",
        "{{ messages | map('tojson') | select('string') | unique | first }}",
        "{% set _args = {'a': 1} %}{% for _, v in _args.items() %}{{ v }}{% endfor %}",
        "{% for key, value in {'a': 1} | items %}{{ key ~ value | string | safe }}{% endfor %}",
        "{{ '%s: %d' % ('a', 1) }}{{ '{} {a}'.format(1, a=2) }}{{ '%s' | format(1) }}",
        "{{ strftime_now('%d %b %Y') if strftime_now is defined else 'now' }}",
        "{% macro line(text, end='.') -%}{{ text + end }}{%- endmacro %}{{ line('a') }}{{ line('b', end='!') }}",
        "{% generation %}{{ messages[-1].content }}{% endgeneration %}",
        "{% for m in messages %}{% if loop.first %}{% continue %}{% else %}{% break %}{% endif %}{% endfor %}",
        "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}{{ loop.revindex0 }}{% endfor %}",
        "{% set text %}{{ messages[0].content[1:3] }}{% endset %}{{ text.strip().split('a')[0] }}",
        "{% with a = 1 %}{{ a // 2 - 1 }}{% endwith %}{{ messages[0]['name'] is defined and not tools }}",
        "{{ (schema or {}).items is defined }}{{ {'format': 1}.format }}{{ {'title': 1}['title'] }}",
        "{% set ns = namespace(found=false) %}{% set ns.found = true %}{{ ns.found or dict(a=1).get('a') }}",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system texts') }}{% endif %}",
        "{{ raise_exception('not one of these') }}",
        "{% if messages[0].role == 'system' %}{{ nothing.at.all }}{% endif %}x",
    ],
)
def test_what_templates_use_is_accepted(template):
    assert objection(template) is None


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% block a %}{% endblock %}", "uses the construct Block in line 1"),
        ("x\n\n{% include 'a' %}", "uses the construct Include in line 3"),
        ("\n{% autoescape true %}{% endautoescape %}", "uses the construct Scope in line 1"),
        ("{% call m() %}{% endcall %}", "uses the construct CallBlock in line 1"),
        ("{% if false %}{{ '' | attr('x') }}{% endif %}", "uses the filter 'attr' in line 1"),
        ("{% if false %}{{ ''.encode() }}{% endif %}", "uses the method 'encode' in line 1"),
        ("{% if x is callable %}{% endif %}", "uses the test 'callable' in line 1"),
        ("{{ x.__class__ is defined }}", "uses the attribute '__class__' in line 1"),
        ("{{ __builtins__ }}", "uses the name '__builtins__' in line 1"),
        ("{{ x.append }}", "uses the attribute 'append' in line 1"),
        ("{{ x['gi_frame'] }}", "uses the key 'gi_frame' in line 1"),
        ("{{ x.co_code }}", "uses the attribute 'co_code' in line 1"),
        ("{% set f = range %}{{ f(3) }}", "uses 'range' as a value in line 1"),
        ("{% set range = messages %}{{ range(3) }}", "uses the function 'range' in line 1"),
        ("{{ cycler }}", "uses 'cycler' as a value in line 1"),
        ("{{ joiner() }}", "uses the function 'joiner' in line 1"),
        ("{{ messages[0]['role']() }}", "uses a call of something that has no name in line 1"),
        ("{{ range(*[1, 2]) }}", "uses arguments that are spread out with * in line 1"),
        ("{{ dict(**x) }}", "uses arguments that are spread out with * in line 1"),
        ("{{ messages | map(x) | list }}", "uses the filter 'without a fixed name' in line 1"),
        ("{{ messages | select('callable') | list }}", "uses the test 'callable' in line 1"),
        ("{{ messages | selectattr('a', 'callable') }}", "uses the test 'callable' in line 1"),
        ("{{ messages | sort(false, false, 'a.__class__') }}", "an attribute in the filter sort"),
        ("{{ messages | map(attribute=x) | list }}", "an attribute in the filter map"),
        ("{{ messages[0].content.format(1) }}", "uses the method 'format' of a text that is not fixed in line 1"),
        ("{{ '{a.b}'.format(a=1) }}", "uses the method 'format' with fields that reach into values in line 1"),
        ("{% macro __m() %}{% endmacro %}", "uses the macro '__m' in line 1"),
        ("{{ 1 / 0 }}", "cannot be rendered: it ended with ZeroDivisionError (division by zero)"),
        ("{% if %}", "is not a template: Expected an expression, got 'end of statement block' in line 1"),
        ("{{ x | \x1b[31m }}", "is not a template"),
    ],
)
def test_what_no_template_needs_is_refused_with_its_line(template, why):
    assert why in objection(template)


def test_harm_that_is_done_for_one_conversation_alone_is_found():
    template = "{% if messages[0].role == 'system' %}{% for i in range(99999) %}{% endfor %}{% endif %}"

    assert objection(template) == "cannot be rendered: it takes more than 20000 steps"


def test_harm_that_waits_for_the_end_of_the_prompt_is_found():
    assert "more than 400000" in objection("{% if not add_generation_prompt %}{{ 'a' * 10 ** 9 }}{% endif %}")


def test_each_template_is_judged_for_itself():
    assert [bool(found) for found in objections("{{ 1 }}", "{{ ''.encode() }}", "{{ 'a' * 10 ** 9 }}", "b")] == [
        False,
        True,
        True,
        False,
    ]


def test_templates_share_the_effort_of_compiling():
    deep = "{{ " + "+".join(["x"] * 55) + " }}"
    large = "{% set x = 1 %}" + deep * 5

    assert objection(large) is None
    assert "too deeply" in objections(*[large + "." * number for number in range(8)])[-1]


def test_what_is_left_when_the_seconds_are_used_up_is_not_accepted():
    assert objections("{{ 1 }}", limits=Limits(seconds=0)) == ["was not judged: those before it took all 0 s"]
