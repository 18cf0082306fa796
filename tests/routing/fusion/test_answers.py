"""Extraction and canonical forms: what is found, what is the same, what is an abstention; hostile texts cost nothing."""

import json
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.fusion.answers import Spec, extract, kinds
from routing.fusion.answers._arithmetic import evaluate

OPTIONS = ("42 apples", "7 pears", "9 plums", "none")


def key(text: str, kind: str, choices: tuple[str, ...] = (), schema=None) -> str | None:
    found = extract(text, Spec(kind, choices, schema))
    return found.key if found else None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("So the answer is: **C**", "C"),
        ("the answer is (b)", "B"),
        ("Answer: D", "D"),
        ("ANSWER: B", "B"),
        ("The answer is (A). Wait, no.\nThe answer is (C).", "C"),
        ("The answer is (A).\n\nQuestion: next one?\nThe answer is (B).", "A"),
        ("the best option is B) 7 pears", "B"),
        (r"Hence $\boxed{\text{C}}$", "C"),
        ("The answer is 42 apples.", "A"),
        ('{"answer": "(A) 42 apples"}', "A"),
        ("It must be B.", "B"),
        ("the answer is a combination of things", None),
        ("The answer is (J)", None),  # there is no tenth option
        ("They are all wrong.", None),
        ("", None),
    ],
)
def test_a_choice_is_found_where_it_is_stated_and_nowhere_else(text, letter):
    assert key(text, "choice", OPTIONS) == letter


@pytest.mark.parametrize("text", ["A", "(A) 42 apples", "ANSWER: A", "The answer is (a)."])
def test_a_letter_and_its_option_are_one_answer(text):
    assert key(text, "choice", OPTIONS) == "A"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("#### 1,234", "The answer is 1234."),
        ('{"reasoning": "x", "answer": "$1,234.00"}', "ANSWER: 1234"),
        ("The answer is 0.5", '{"answer": "1/2"}'),
    ],
)
def test_numbers_written_differently_are_equal(one, other):
    assert key(one, "number") == key(other, "number") is not None


def test_a_decimal_comma_is_another_number_on_purpose():
    """`1,5` is fifteen to whoever separates thousands with commas; guessing the locale would merge wrong answers."""
    assert key("ANSWER: 1,5", "number") != key("ANSWER: 1.5", "number")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\boxed{\frac{1}{2}}", "The answer is 0.5"),
        (r"\boxed{\frac12}", r"\boxed{\dfrac{2}{4}}"),
        (r"\boxed{2\sqrt{3}}", r"\boxed{\sqrt{12}}"),
        (r"\boxed{x = 5}", r"\boxed{5}"),
        (r"\boxed{10\%}", r"\boxed{10}"),
        (r"\boxed{2, 1}", r"\boxed{1,2}"),
        (r"\boxed{5 \text{ cm}}", r"\boxed{5}"),
        ('{"answer": "\\frac{3}{4}"}', r"\boxed{0.75}"),  # the form feed that JSON makes of \f is mended
    ],
)
def test_mathematics_written_differently_is_equal(one, other):
    assert key(one, "math") == key(other, "math") is not None


def test_whole_numbers_are_told_apart_to_the_last_digit():
    assert key(r"\boxed{123456781}", "math") != key(r"\boxed{123456782}", "math")


@pytest.mark.parametrize(
    "hostile", ["221_3", "9**9**9", "9**(999)", "2**99999", "1" * 10_000, "(" * 5_000, "__import__('os')"]
)
def test_nothing_is_evaluated_that_is_not_small_arithmetic(hostile):
    started = time.process_time()
    assert evaluate(hostile) is None
    key(rf"\boxed{{{hostile}}}", "math")
    key(f"ANSWER: {hostile}", "literal")
    assert time.process_time() - started < 1.0


def test_a_ten_kilobyte_number_is_no_number():
    assert key("ANSWER: " + "7" * 10_000, "number") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{\"answer\": \"{'a': 1, 'b': [2]}\"}", "The answer is {'b': [2], 'a': 1}"),
        ("ANSWER: [1,2]", "ANSWER: [1, 2]"),
        ("ANSWER: {1, 2}", "ANSWER: {2, 1}"),
        ("ANSWER: f(x) == 'y'", "ANSWER: 'y'"),
    ],
)
def test_literals_are_compared_by_value(one, other):
    assert key(one, "literal") == key(other, "literal") is not None


def test_an_empty_string_is_a_literal_answer_and_no_other_kind_of_answer():
    assert key('{"answer": ""}', "literal") == "''"
    assert key('{"answer": ""}', "math") is None
    assert key('{"answer": " "}', "number") is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": 2}', 'Here:\n```json\n{"b": 2.0, "a": 1.0}\n```'),
        (
            '[{"name": "f.x", "arguments": {"a": 1}}, {"name": "g", "arguments": "{\\"b\\": 2}"}]',
            '[{"name": "g", "arguments": {"b": 2}}, {"name": "f_x", "arguments": {"a": 1}}]',
        ),
    ],
)
def test_json_is_compared_whole_whatever_its_order(one, other):
    assert key(one, "json") == key(other, "json") is not None


def test_json_tells_text_from_number_and_true_from_one():
    assert len({key(text, "json") for text in ('{"a": 1}', '{"a": "1"}', '{"a": true}', '{"a": "#1"}')}) == 4


def test_json_that_breaks_the_schema_has_no_vote():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert key('{"a": "x"}', "json", schema=schema) is None
    assert key('{"a": 3}', "json", schema=schema) is not None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("ANSWER: Spam", "spam"),
        ("I would say this is ham.", "ham"),
        ("ANSWER: both spam and ham", None),
        ("ＳＰＡＭ", "spam"),
    ],
)
def test_labels_are_those_that_were_offered(text, label):
    assert key(text, "label", ("spam", "ham")) == label


def test_code_is_compared_without_layout_and_comments():
    one = "```python\ndef f(x):\n    return x+1  # add\n```"
    assert key(one, "code") == key("```\ndef f(x): return x + 1\n```", "code")


@pytest.mark.parametrize("kind", kinds())
@given(text=st.text(max_size=400))
def test_any_text_is_read_without_a_fault_or_a_warning(kind, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract(text, Spec(kind, OPTIONS if kind in ("choice", "label") else ()))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_value_is_the_same_however_it_is_indented(value):
    spaced, tight = json.dumps(value, indent=3), json.dumps(value, separators=(",", ":"))
    assert key(spaced, "json") == key(tight, "json")


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_any_integer_is_itself(number):
    assert key(f"ANSWER: {number:,}", "number") == f"#{number}" == key(rf"\boxed{{{number}}}", "math")


@pytest.mark.parametrize(
    "filler", ["answer is ", "\\boxed{", '"answer": "', "answer:\n", "(A ", "*" * 50 + " answer ", "\n \t"]
)
@pytest.mark.parametrize("kind", kinds())
def test_time_grows_no_faster_than_the_text(kind, filler):
    text = filler * (100_000 // len(filler))
    started = time.process_time()
    extract(text, Spec(kind, OPTIONS if kind in ("choice", "label") else ()))
    assert time.process_time() - started < 2.0
