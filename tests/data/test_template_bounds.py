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
]
FINE = {
    "{{ 'a' | center(5) }}": "  a  ",
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
    with pytest.raises(UnrenderableError, match=r"the template computes for more than|longer than 20,000,000"):
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
