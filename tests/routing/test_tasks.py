"""What a prompt looks like: kind by four rules, complexity with its evidence."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Message, Request, Text, Tool
from routing.tasks import classify


def task(text, kind=None, **known):
    return classify(Request((Message("user", (Text(text),)),), **known), kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Fix this:\n```\nx = 1\n```", "code"),
        ("What does def f(x) do?", "code"),
        ("[PYTHON] sort 3 numbers", "code"),
        (r"Simplify \frac{1}{2} + \sqrt{x}", "math"),
        ("Solve $x + y = 2$ for x", "math"),
        ("How many eggs are 3 dozen?", "numeric"),
        ("Who wrote Faust?", "text"),
        ("It costs $ or so", "text"),
    ],
)
def test_the_kind_is_the_first_rule_that_fires(text, kind):
    assert task(text).kind == kind


def test_a_kind_that_was_given_is_not_guessed():
    assert task("def f(x): pass", "law").kind == "law"


@pytest.mark.parametrize(
    ("text", "known", "complexity"),
    [
        ("Who wrote Faust?", {}, "simple"),
        ("Design a cache and compare the trade-offs.", {}, "medium"),
        ("Prove it step by step. " + "Because of that and this. " * 200, {}, "complex"),
        ("Plan this.", {"reasoning": "high", "tools": (Tool("f", "", {}),)}, "complex"),
    ],
)
def test_complexity_names_the_rules_that_fired(text, known, complexity):
    found = task(text, **known)
    assert found.complexity == complexity
    assert (len(found.evidence) > 1) == (complexity != "simple")


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("- a? b?", True),
        ("a?\n- b", False),
        ("- a\n- b?", True),
        ("- a\n- b", False),
        ("1. a\n2) b\n* c", True),
        ("-\n-\n- a", True),
        ("a? b? c?", True),
    ],
)
def test_three_questions_or_listed_steps_are_several(text, several):
    assert ("several questions or steps" in task(text).evidence) == several


@given(st.text(alphabet="?-*17.) \t\n\ra\u0664"))
def test_what_is_several_is_what_the_plain_expression_finds(text):
    found = re.findall(r"\?|^\s*(?:\d+[.)]|[-*])\s", text, re.MULTILINE)
    assert ("several questions or steps" in task(text).evidence) == (len(found) > 2)


@given(st.text(alphabet="ab \u0664\u0967\u00e97"))
def test_a_digit_of_any_script_makes_it_numeric(text):
    assert (task(text).kind == "numeric") == (re.search(r"\d", text) is not None)


@given(st.text())
def test_any_text_is_of_some_kind(text):
    assert task(text).kind in {"code", "math", "numeric", "text"}
