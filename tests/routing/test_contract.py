"""What is an answer, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Answer, Message, Request, Text, ToolCall
from routing.contract import Terms, check, repair, terms, value_of, was_cut
from routing.errors import InvalidRequest

GOOD = Answer(text="Paris.", finish_reason="stop")
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def request(**known):
    return Request((Message("user", (Text("Where?"),)),), **known)


def kind(answer, terms_=Terms()):
    error = check(answer, terms_)
    return error and error.kind


def test_text_with_a_reason_to_stop_is_an_answer():
    assert kind(GOOD) is None
    assert kind(Answer(text="Paris", finish_reason="tool_calls", tool_calls=(ToolCall("1", "f", "{}"),))) is None


@pytest.mark.parametrize("reason", [None, "paused"])
def test_an_end_without_a_reason_is_never_taken_for_stop(reason):
    assert kind(Answer(text="Par", finish_reason=reason)) == "truncated"


@pytest.mark.parametrize("text", ["", "   \n"])
def test_nothing_said_is_no_answer(text):
    assert kind(Answer(text=text, finish_reason="stop")) == "empty"


def test_a_cut_is_an_answer_only_where_the_caller_meant_it():
    cut = Answer(text="Once upon", finish_reason="length")
    assert kind(cut) == "cut_short"
    assert kind(cut, Terms(own_limit=True)) is None
    assert kind(cut, Terms(allow_truncated=True)) is None
    assert was_cut(cut)
    assert kind(Answer(text="", finish_reason="length"), Terms(own_limit=True)) == "empty"


def test_a_full_window_sends_the_ask_to_a_larger_one():
    full = Answer(text="Once", finish_reason="context_length")
    assert kind(full, Terms(own_limit=True)) == "context_too_long"
    assert kind(full, Terms(allow_truncated=True)) is None


def test_only_the_providers_own_signal_is_a_refusal():
    assert kind(Answer(text="I cannot help with that.", finish_reason="stop")) is None
    assert kind(Answer(text="I", finish_reason="content_filter")) == "content_refused"
    assert kind(Answer(text="no", finish_reason="stop", refusal="no")) == "content_refused"


def test_an_error_at_the_end_is_a_failure():
    assert kind(Answer(text="x", finish_reason="error")) == "unavailable"


@pytest.mark.parametrize(
    ("arguments", "end"), [("{}", None), ("", None), ('{"a": 1}', None), ('{"a": ', "bad_arguments")]
)
def test_tool_arguments_must_parse(arguments, end):
    calls = (ToolCall("1", "f", "{}"), ToolCall("2", "g", arguments))
    assert kind(Answer(finish_reason="tool_calls", tool_calls=calls)) == end


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ('{"city": "Paris"}', None),
        ('```json\n{"city": "Paris"}\n```', None),
        ('{"city": 7}', "wrong_schema"),
        ('{"town": "Paris"}', "wrong_schema"),
        ("Paris", "wrong_schema"),
        ('{"city": NaN}', "wrong_schema"),
        ('{"city": "Paris"} and more', "wrong_schema"),
        ("[" * 100_000, "wrong_schema"),
    ],
)
def test_an_answer_to_a_schema_is_held_to_it(text, end):
    assert kind(Answer(text=text, finish_reason="stop"), terms(request(schema=CITY))) == end


def test_what_is_wrong_is_told_without_the_models_text():
    error = check(Answer(text='{"city": "SECRET", "SECRET": 1}', finish_reason="stop"), terms(request(schema=CITY)))
    assert error is not None
    assert "SECRET" not in error.message


def test_a_repair_asks_the_same_model_with_its_answer_and_its_fault():
    broken = Answer(text="Paris", finish_reason="stop")
    error = check(broken, terms(request(schema=CITY)))
    assert error is not None
    again = repair(request(schema=CITY), broken, error)
    assert [message.role for message in again.messages] == ["user", "assistant", "user"]
    assert again.messages[1].text == "Paris"
    assert "not JSON" in again.messages[2].text


@pytest.mark.parametrize("schema", [{"type": "banana"}, {"properties": 7}, {"required": "city"}])
def test_a_schema_that_is_none_is_refused_before_anybody_is_paid(schema):
    with pytest.raises(InvalidRequest, match="no valid JSON Schema"):
        terms(request(schema=schema))


@pytest.mark.parametrize("where", ["http://127.0.0.1:1/s.json", "file:///etc/passwd", "other.json"])
def test_a_schema_may_not_refer_to_other_documents(where):
    with pytest.raises(InvalidRequest, match="another document"):
        terms(request(schema={"type": "object", "properties": {"a": {"$ref": where}}}))


def test_a_schema_may_refer_to_itself():
    own = {"$defs": {"c": {"type": "string"}}, "type": "array", "items": {"$ref": "#/$defs/c"}}
    assert kind(Answer(text='["a"]', finish_reason="stop"), terms(request(schema=own))) is None
    assert kind(Answer(text="[1]", finish_reason="stop"), terms(request(schema=own))) == "wrong_schema"


@given(st.text(max_size=200), st.sampled_from(["stop", "length", None, "tool_calls", "content_filter", "error"]))
def test_no_text_breaks_the_contract_itself(text, reason):
    check(Answer(text=text, finish_reason=reason), terms(request(schema=CITY)))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_the_value_of_json_is_that_json_fenced_or_not(value):
    import json

    text = json.dumps(value)
    assert value_of(text) == value
    assert value_of(f"```json\n{text}\n```") == value
