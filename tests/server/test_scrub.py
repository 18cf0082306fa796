"""Nothing is told that may not be: wherever in a value a key stands, and however its strings are written."""

import logging
from typing import Any

import pytest

from server.mcp import scrub
from server.security.redaction import MARK, Factory, Redactor

KEYS = ["sk-plain-0123456789", 'sk-"quoted"-0123456789', "sk-back\\slash-0123456789"]


@pytest.fixture(autouse=True)
def keys() -> Any:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Factory(Redactor(KEYS)))
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_hidden_wherever_it_stands(key: str) -> None:
    value = {"text": f"It is {key}.", "list": [1, ("a", key)], key: {"deep": [{"deeper": key}]}, "none": None}
    told = scrub.told_tree(value)
    assert told == {
        "text": f"It is {MARK}.",
        "list": [1, ["a", MARK]],
        MARK: {"deep": [{"deeper": MARK}]},
        "none": None,
    }


@pytest.mark.parametrize(
    "value",
    [
        {"text": "plain", "numbers": [1, 2.5, None, True]},
        {"text": 'two\nlines, "quoted", back\\slash'},
        {"text": "Grüße · 🦜"},
        [],
        "a text",
    ],
)
def test_what_hides_nothing_is_told_as_it_is(value: Any) -> None:
    assert scrub.told_tree(value) == value


def test_a_value_with_nothing_to_look_at_twice_is_not_copied() -> None:
    value = {"model": "m0", "usage": {"input": 9}}
    assert scrub.told_tree(value) is value


def test_half_of_a_pair_is_replaced() -> None:
    assert scrub.told_tree({"text": "\ud83d", "\udc00": 1}) == {"text": "\ufffd", "\ufffd": 1}
