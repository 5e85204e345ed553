"""No template holds a run for long: its time, its texts and its numbers are bounded for every row."""

from __future__ import annotations

import time

import pytest

from batchfree.data.prompts.bounds import MOST_SECONDS
from batchfree.data.prompts.sandbox import sandbox
from batchfree.data.prompts.template import Template, UnrenderableError

ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) if false %}x{% endfor %}{% endfor %}",
    "{% for a in range(99999) if range(99999) | list | length == 0 %}{{ a }}{% endfor %}",
    "{% for a in range(99999) recursive %}{{ loop(range(99999)) if loop.depth < 9 }}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% for a in range(99999) %}{% call f() %}"
    "{% for b in range(99999) %}{% endfor %}{% endcall %}{% endfor %}",
    "{% set n = namespace(x='ab' * 9000000) %}{% for a in range(99999) %}{% set n.y = n.x | upper %}{% endfor %}",
    "{% for a in range(99999) %}{% set b = range(99999) | map('string') | join | length %}{% endfor %}",
    "{% set n = range(99999) | map('string') | list %}{{ range(99999) | select('in', n) | list | length }}",
    "{{ range(99999) | map('tojson') | map('tojson') | map('tojson') | map('tojson') | join | length }}",
]
HUGE = [
    "{{ 'a' | center(10**9) }}",
    "{{ x | center(10**9) }}",
    "{{ x.center(10**9) }}",
    "{{ x.ljust(10**9) }}{{ x.rjust(10**9) }}{{ x.zfill(10**9) }}",
    "{{ x.zfill(width=10**9) }}",
    "{{ ('\t' * 1000).expandtabs(10**7) }}",
    "{{ x | indent(10**9, true) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ '%1000000000s' | format(1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 10**9) }}",
    "{{ '{a:{b}}'.format_map({'a': 1, 'b': 10**9}) }}",
    "{{ ('a' * 9999999).replace('a', 'b' * 9999999) }}",
    "{{ ('a' * 9999999) | replace('a', 'b' * 9999999) }}",
    "{{ ('a' * 9999999).translate({97: 'b' * 9999999}) }}",
    "{{ (['a' * 9999999] * 999) | join }}",
    "{{ ''.join(['a' * 9999999] * 999) }}",
    "{{ (x * 9999999) ~ (x * 9999999) ~ (x * 9999999) }}",
    "{{ (x * 19999999) + (x * 9999999) }}",
    "{{ [0] * 10**9 }}",
    "{{ [1] | batch(10**9, 0) | list | length }}",
    "{{ [1] | slice(10**9) | list | length }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 10000000 ** 100000 }}",
    "{{ (2 ** 1000) ** 1000 }}",
    "{{ (5).to_bytes(10**10, 'big') | length }}",
    "{{ 2 | round(10**9, 'ceil') }}",
    "{{ {'a': [1, 2]} | tojson(indent=10**9) }}",
    "{{ x | wordwrap(1, wrapstring='a' * 9999999) }}",
    "{% set n = namespace(x=2) %}{% for a in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='a') %}{% for a in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='a') %}{% for a in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
    "{% set n = namespace(x='a') %}{% for a in range(99) %}"
    "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}{{ n.x }}",
    "{% for a in range(99999) %}{{ x * 1000 }}{% endfor %}",
    "{{ range(99999) | map('center', 10000) | list }}",
    "{{ 'x'.join(range(99999) | map('center', 10000)) }}",
    "{{ (x * 9999999).split() | length }}",
    "{{ (x * 9999999).rsplit(' ') | length }}",
    "{{ x * 5000000 | list | length }}",
    "{{ (x * 5000000) | list | length }}",
    "{{ ('a' * 9999999).strip('b' * 9999999 ~ 'a') }}",
    "{{ ('a' * 9999999) | trim('b' * 9999999 ~ 'a') }}",
    "{{ ('a' * 9999999).rfind('b' ~ 'a' * 999999) }}",
    "{{ ('a ' * 9999999) | urlize }}",
    "{{ ('a ' * 9999999) | wordwrap(5) }}",
    "{{ ('%s' * 99999) % ((x * 999,) * 99999) }}",
    "{{ ('{0}' * 99999).format(x * 9999) }}",
    "{{ ('{:>999999}' * 999).format(*range(999)) }}",
    "{{ [range(999) | list] * 999 }}",
    "{{ ([range(999) | list] * 99) | map('list') | sum(start=[]) | map('list') | list }}",
    "{{ [['a' * 99999] * 99] * 99 }}",
    "{{ [1] | batch(99999999, 0) | list }}",
    *(
        "{% set n = namespace(x=[1], y=[2]) %}{% for a in range(40) %}{% set n.x = "
        f"{twice} %}}{{% endfor %}}{{{{ n.x{use} }}}}"
        for twice in ("[n.x, n.x]", "(n.x, n.x)", "{'a': n.x, 'b': n.x}", "n.x + n.x", "n.x * 2")
        for use in ("", " | tojson", " | pprint", " == n.y", " ~ ''")
    ),
    "{% set n %}{% for a in range(99999) %}{{ 'a' * 19999999 }}{% endfor %}{% endset %}",
    "{% macro f() %}{% for a in range(99999) %}{{ 'a' * 19999999 }}{% endfor %}{% endmacro %}{% set n = f() %}",
]
FINE = {
    "{{ 'a' | center(5) }}": "  a  ",
    "{{ 'a b'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b'.rsplit(sep=',') }}": "['a', 'b'] ['a', 'b,c'] ['a', 'b']",
    "{{ '-'.join(['a'] | map('upper')) }} {{ [3, 1] | sort }} {{ [[1], [2]] | sum(start=[]) }}": "A [1, 3] [1, 2]",
    "{% for a, b in {'x': (1, 2)}.items() %}{{ a }}{{ b[1] }}{% endfor %} {{ '1700000000 %s' % 1 }}": "x2 1700000000 1",
    "{{ [1, 2, 3] | select('odd') | list }} {{ 4 is divisibleby(2) }} {{ x is defined }}": "[1, 3] True True",
    "{{ x | trim | e }} {{ [{'a': 1}] | map(attribute='a') | max }} {{ {'b': 1} | dictsort }}": "a b 1 [('b', 1)]",
    "{% for a in range(3) if a %}{{ loop.index }}/{{ loop.length }} {% endfor %}": "1/2 2/2 ",
    "{% macro f(n) %}{{ n }}{{ caller() }}{% endmacro %}{% call f(1) %}2{% endcall %}": "12",
    "{{ '{:>4}|{}'.format(1700000000, 9999999999) }}": "1700000000|9999999999",
    "{{ '%s %5d' % (9999999999, 3) }}": "9999999999     3",
    "{{ x ~ 1 ~ none | default('', true) }}": "a b1",
    "{{ [1, 2] + [3] }} {{ 2 ** 10 * 3 }} {{ 7 % 4 }}": "[1, 2, 3] 3072 3",
    "{{ x | replace(' ', '') | upper }} {{ ['a', 1] | join(', ') }}": "AB a, 1",
    "{{ {'a': 1} | tojson(indent=2) }}": '{\n  "a": 1\n}',
    "{% for a in [[1], [2, [3]]] recursive %}{{ a if a is number else loop(a) }}{% endfor %}": "123",
}


@pytest.mark.parametrize(
    "source", [*ENDLESS[:4], *(pytest.param(source, marks=pytest.mark.slow) for source in ENDLESS[4:])]
)
def test_a_template_that_does_not_end_fails_its_row(source: str) -> None:
    began = time.thread_time()
    with pytest.raises(UnrenderableError, match=r"the template computes for more than|longer than"):
        Template(source, sandbox(), ["x"])({"x": "a b"})
    assert time.thread_time() - began < MOST_SECONDS + 2


@pytest.mark.parametrize("source", HUGE)
def test_a_template_makes_no_huge_text_and_no_huge_number(source: str) -> None:
    began = time.thread_time()
    with pytest.raises(UnrenderableError):
        Template(source, sandbox(), ["x"])({"x": "a b"})
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("source", FINE)
def test_bounds_change_no_other_template(source: str) -> None:
    assert Template(source, sandbox(), ["x"])({"x": "a b"}) == FINE[source]
