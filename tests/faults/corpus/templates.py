"""Chat templates that attack whoever renders them, and templates in the manner of real families.

The latter are written for this corpus, from what the families' prompts look like: none is anybody's text.
"""

REACHING_OUT = (
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ messages | attr('__class__') | attr('__mro__') }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{{ messages | map('attr', '__class__') | list }}",
    "{{ messages | groupby('__class__') | list }}",
    "{{ messages | sort(attribute='__class__') }}",
    "{{ messages | selectattr('__class__') | list }}",
    "{{ messages | sum(attribute='__class__') }}",
    "{{ messages.__init__.__globals__ }}",
    "{{ messages[0].__getitem__.__self__ }}",
    "{{ [].append.__self__ }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ {}.__class__.__mro__[-1] }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{x.__init__.__globals__}'.format(x=cycler) }}",
    "{{ '{0[__class__]}'.format('') }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ '%(x)s'.__mod__({'x': 1}) }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ joiner()._sep }}{{ joiner().__call__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns.__class__ }}",
    "{% set ns = namespace(_a=1) %}{{ ns._a }}{{ ns.__init__ }}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ range.__class__ }}",
    "{{ dict.__base__ }}{{ dict.fromkeys.__self__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__class__ }}",
    "{{ loop.__class__ }}",
    "{% for m in messages %}{{ loop._iterable }}{{ loop.__init__ }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m._func }}{{ m.__call__.__globals__ }}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{{ raise_exception.__code__ }}",
    "{{ strftime_now.__globals__ }}",
    "{{ strftime_now.func_globals }}",
    "{{ config }}{{ request.application }}{{ get_flashed_messages() }}",
    "{{ (messages | list).__reduce__() }}",
    "{{ (messages | map(attribute='role')).gi_frame.f_globals }}",
    "{{ messages.copy().__class__ }}",
    "{{ messages.clear() }}",
    "{{ messages[0].pop('role') }}",
    "{{ messages[0].setdefault('x', 1) }}",
    "{% include '/etc/passwd' %}",
    "{% include messages[0].content %}",
    "{% import '/etc/passwd' as x %}",
    "{% from 'os' import system %}",
    "{% extends '/etc/passwd' %}",
    "{% do messages.append(1) %}",
    "{% trans %}x{% endtrans %}",
    "{% debug %}",
    "{{ messages | pprint }}",
    "{{ '<a>' | urlize }}{{ {'a': 1} | xmlattr }}",
    "{{ messages | filesizeformat }}",
    "{% for m in messages async %}{% endfor %}",
    "{{ await messages }}",
)

USING_UP = (
    "{{ 'a' | center(10 ** 9) }}",
    "{{ ('a ' * 100000) | wordwrap(1) }}",
    "{{ 'a' | ljust(10 ** 9) }}",
    "{{ messages | pprint(true) }}{{ ('a' * 9999999) | wordcount }}",
    "{{ 'a'.rjust(10 ** 9) }}",
    "{{ 'a'.encode('utf-16') * 10 ** 9 }}",
    "{{ 'a'.translate({97: 'a' * 10000000}) }}",
    "{{ 'a'.maketrans({}) }}",
    "{{ [[]] * 10 ** 8 }}",
    "{{ range(10 ** 12) | length }}{{ range(10 ** 12) | sum }}",
    "{{ range(10 ** 8) | list | length }}",
    "{{ range(10 ** 8) | random }}",
    "{{ range(99999) | map('string') | map('upper') | list | join('x' * 9999) }}",
    "{{ range(99999) | batch(1) | list }}",
    "{{ range(99999) | slice(10 ** 8) | list }}",
    "{{ 10 ** 5000 }}",
    "{{ 7 ** (7 ** (7 ** 7)) }}",
    "{{ (1).__pow__(10 ** 9) }}",
    "{{ 1 << 10 ** 9 }}",
    "{{ -(9 ** (9 ** 9)) }}",
    "{{ 10 ** 2000 * 10 ** 2000 }}",
    "{{ ('1' * 4000000) | float | string * 9999999 }}",
    "{{ messages | tojson(indent=10 ** 9) }}",
    "{{ '%0*d' % (10 ** 9, 1) }}",
    "{{ '%.1000000000g' % 1.0 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{0:{1}}'.format(1, 10 ** 9) }}",
    "{{ strftime_now('%c' * 10 ** 9) }}",
    "{% for a in range(10 ** 5) %}{% for b in range(10 ** 5) %}{% if false %}{% endif %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) recursive %}{{ loop(range(1000)) }}{% endfor %}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% macro a(f) %}{{ f(f) }}{% endmacro %}{{ a(a) }}",
    "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}" + "{% call m() %}" * 30 + "x" + "{% endcall %}" * 30,
    "{% set x %}" + "{% for i in range(10) %}" * 8 + "xxxxxxxxxx" + "{% endfor %}" * 8 + "{% endset %}",
    "{% filter upper %}" + "{% for i in range(10) %}" * 8 + "x" + "{% endfor %}" * 8 + "{% endfilter %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x.join(ns.x) %}{% endfor %}",
    "{{ " + " + ".join(["x"] * 300) + " }}",
    "{{ x" + " | upper" * 200 + " }}",
    ("{{ " + "+".join(["x"] * 60) + " }}") * 100,
    "{% set ns = namespace(x='aa') %}{% for i in range(40) %}{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = '{}{}'.format(ns.x, ns.x) %}{% endfor %}",
    "{% set ns = namespace(x='aa') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}",
    "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = ns.x * 2 %}{% endfor %}{{ ns.x | length }}",
    "{% set ns = namespace(x={}) %}{% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}"
    "{{ ns.x | tojson }}",
    "{{ ('a' * 1000000) | list | map('upper') | list | join('b' * 1000) }}",
    "{{ " + "+".join(["'a' * 1000000"] * 300) + " }}",
    "{{ " + "not " * 20_000 + "1 }}",
    "{{ [" * 3000 + "]}}" * 3000,
    "{% if true %}" * 3000 + "{% endif %}" * 3000,
    "{{ x" + ".x" * 20_000 + " }}",
    "{#" + "a" * 200_000 + "#}",
)

LLAMA_2 = """
{%- if messages[0]['role'] == 'system' -%}
  {%- set preface = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' -%}
  {%- set turns = messages[1:] -%}
{%- else -%}
  {%- set preface, turns = '', messages -%}
{%- endif -%}
{%- for turn in turns -%}
  {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('user and assistant take turns') -}}
  {%- endif -%}
  {%- if turn['role'] == 'user' -%}
    {{- bos_token + '[INST] ' + (preface if loop.first else '') + turn['content'].strip() + ' [/INST]' -}}
  {%- else -%}
    {{- ' ' + turn['content'].strip() + ' ' + eos_token -}}
  {%- endif -%}
{%- endfor -%}
"""

LLAMA_3 = """{% set parts = namespace(first=true) %}
{% for m in messages %}
{% set text = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}
{% if parts.first %}{% set text = bos_token + text %}{% set parts.first = false %}{% endif %}
{{- text }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}"""

LLAMA_31 = """{{- bos_token }}
{%- if tools is not defined or tools is none %}{%- set tools = none %}{%- endif %}
{%- if date_string is not defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" + system + "<|eot_id|>" }}
{%- if tools is not none %}
    {%- for tool in tools %}{{- tool | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
        {{- message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}{{- raise_exception("one call at a time") }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""

CHATML = """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""  # noqa: E501 - such templates are one line

QWEN_25 = """
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "<|im_end|>\\n" }}
{%- elif messages[0]['role'] != 'system' %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- message.content }}{{- '\\n</tool_response>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""  # noqa: E501 - likewise

QWEN_3 = """
{%- set ns = namespace(multi_step=true, last=messages | length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}{%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or reasoning) %}
            {{- '<|im_start|>assistant\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}{{- '<|im_start|>assistant\\n' + content }}{%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""  # noqa: E501 - likewise

MISTRAL = """{%- if messages[0]["role"] == "system" %}
    {%- set told = messages[0]["content"] %}{%- set turns = messages[1:] %}
{%- else %}{%- set turns = messages %}{%- endif %}
{%- set users = turns | selectattr("role", "equalto", "user") | list %}
{{- bos_token }}
{%- for turn in turns %}
    {%- if turn["role"] == "user" %}
        {%- if tools is not none and (turn == users[-1]) %}{{- "[AVAILABLE_TOOLS] " }}{%- endif %}
        {%- if loop.last and told is defined %}{{- "[INST] " + told + "\\n\\n" + turn["content"] + "[/INST]" }}
        {%- else %}{{- "[INST] " + turn["content"] + "[/INST]" }}{%- endif %}
    {%- elif turn["role"] == "assistant" %}{{- " " + turn["content"] | trim + eos_token }}
    {%- else %}{{- raise_exception("only user and assistant roles are known") }}{%- endif %}
{%- endfor %}
"""

DEEPSEEK_R1 = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"""  # noqa: E501 - likewise

GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}{%- set prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}{%- set prefix = messages[0]['content'][0]['text'] + '\n\n' -%}{%- endif -%}
    {%- set turns = messages[1:] -%}
{%- else -%}{%- set prefix = "" -%}{%- set turns = messages -%}{%- endif -%}
{%- for turn in turns -%}
    {%- set role = 'model' if turn['role'] == 'assistant' else turn['role'] -%}
    {{ '<start_of_turn>' + role + '\n' + (prefix if loop.first else "") }}
    {%- if turn['content'] is string -%}{{ turn['content'] | trim }}
    {%- elif turn['content'] is iterable -%}
        {%- for item in turn['content'] if item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""

GPT_OSS = """
{%- macro kind(spec) -%}
    {%- if spec.type == "array" -%}{{ kind(spec['items']) + "[]" }}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type | length > 1 -%}
        {{- spec.type | join(" | ") }}
    {%- else -%}{{- spec.type or "any" }}{%- endif -%}
{%- endmacro -%}
{%- macro opening(effort="medium") -%}
    {{- "You answer.\\nCurrent date: " + strftime_now("%Y-%m-%d") + "\\n\\nReasoning: " + effort + "\\n\\n" }}
    {{- "# Valid channels: analysis, commentary, final." }}
{%- endmacro -%}
{{- "<|start|>system<|message|>" }}{{- opening() }}{{- "<|end|>" }}
{%- set last = namespace(call=none) %}
{%- for message in messages -%}
    {%- if message.role == 'assistant' -%}
        {%- if "<|channel|>analysis<|message|>" in message.content -%}
            {{- raise_exception("reasoning belongs into its own field") }}
        {%- endif -%}
        {{- "<|start|>assistant<|channel|>final<|message|>" + message.content + ("<|return|>" if loop.last and not add_generation_prompt else "<|end|>") }}
        {%- set last.call = none %}
    {%- elif message.role in ('system', 'developer') -%}
        {{- "<|start|>developer<|message|># Instructions\\n\\n" + message.content + "<|end|>" }}
    {%- else -%}{{- "<|start|>" ~ message.role ~ "<|message|>" ~ message.content ~ "<|end|>" }}{%- endif -%}
{%- endfor -%}
{%- if tools -%}{%- for tool in tools %}{{- kind(tool) }}{%- endfor -%}{%- endif -%}
{%- if add_generation_prompt -%}{{- "<|start|>assistant" }}{%- endif -%}
"""  # noqa: E501 - likewise

WITH_CONTROLS = """{% for m in messages %}
    {% if m.role == 'system' %}{% continue %}{% endif %}
    {% if loop.index > 3 %}{% break %}{% endif %}
    {% generation %}{{ m.content }}{% endgeneration %}

{{ {'role': m.role, 'text': m.content, 'ü': '<&>'} | tojson }}
{% endfor %}"""

FAMILIES = {
    "Llama 2": LLAMA_2,
    "Llama 3": LLAMA_3,
    "Llama 3.1": LLAMA_31,
    "ChatML, Qwen 2": CHATML,
    "Qwen 2.5": QWEN_25,
    "Qwen 3": QWEN_3,
    "Mistral": MISTRAL,
    "DeepSeek R1": DEEPSEEK_R1,
    "Gemma": GEMMA,
    "GPT-OSS": GPT_OSS,
    "loop controls": WITH_CONTROLS,
}
