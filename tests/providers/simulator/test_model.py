"""What simulated models say: repeatable, labelled, obedient; closed questions have one answer and one dissenter."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.simulator import LABEL, MODELS
from providers.simulator.instance import instance
from providers.simulator.model import closed, embed, pieces, say
from providers.types import Image, Message, Request, Text, Tool

WEATHER = Tool("weather", "tells it", {"type": "object", "properties": {"city": {"type": "string"}}})


def asking(text: str, **more) -> Request:
    return Request((Message("user", (Text(text),)),), **more)


@pytest.mark.parametrize(
    ("question", "answer", "other"),
    [("What is 2+2?", "4", "5"), ("12 * 12 = ?", "144", "145"), ("Compute 7 - 9.", "-2", "-1"), ("8/0", "0", "1")],
)
def test_a_sum_is_done_and_the_dissenter_is_off_by_one(question, answer, other):
    assert say("fast", asking(question)).text == f"{LABEL} The answer is {answer}."
    assert say("dissenter", asking(question)).text == f"{LABEL} The answer is {other}."


@pytest.mark.parametrize(
    "question",
    [
        "Which?\nA) red\nB) green\nC) blue",
        "Is the sky blue?",
        "Say yes or no: do fish swim",
        "Answer with one of: cat, dog or fish.",
    ],
)
def test_on_a_closed_question_all_agree_but_the_dissenter(question):
    said = {model: say(model, asking(question)).text for model in MODELS if model not in ("echo", "embed")}
    dissent = said.pop("dissenter")
    assert len(set(said.values())) == 1 and dissent not in said.values()


def test_open_questions_are_not_taken_for_closed_ones():
    assert closed("Tell me about Rome.") is None


def test_echo_repeats_system_and_prompt():
    assert say("echo", asking("hello", system="be kind")).text == f"{LABEL} be kind\nhello"


def test_stop_and_limit_end_an_answer_with_the_right_reason():
    assert say("fast", asking("Say a lot " * 30, max_tokens=3)).finish_reason == "length"
    cut = say("echo", asking("one STOP two", stop=("STOP",)))
    assert (cut.text, cut.finish_reason) == (f"{LABEL} one ", "stop")


def test_a_tool_is_called_when_named_or_forced_and_not_when_forbidden():
    assert say("fast", asking("weather in Rome?", tools=(WEATHER,))).finish_reason == "tool_calls"
    assert say("fast", asking("hi", tools=(WEATHER,), tool_choice="required")).tool_calls[0].name == "weather"
    assert not say("fast", asking("hi", tools=(WEATHER,))).tool_calls
    assert not say("fast", asking("weather?", tools=(WEATHER,), tool_choice="none")).tool_calls


def test_images_cost_tokens():
    plain = asking("hi")
    seen = Request((Message("user", (Text("hi"), Image("image/png", b"x"))),))
    assert say("fast", seen).usage.input == say("fast", plain).usage.input + 256


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(max_size=60), st.sampled_from(MODELS), st.none() | st.integers(1, 20))
def test_any_prompt_gets_the_same_labelled_answer_twice_within_its_limit(text, model, limit):
    request = asking(text, max_tokens=limit)
    answer = say(model, request)
    assert answer == say(model, request)
    assert answer.simulated and answer.usage.output == len(pieces(answer.text))
    assert limit is None or answer.usage.output <= limit
    assert answer.text.startswith(LABEL) or limit is not None


def test_texts_that_share_words_have_nearer_vectors():
    def near(left: str, right: str) -> float:
        return sum(a * b for a, b in zip(embed(left), embed(right), strict=True))

    base = "the cat sat on the mat"
    assert near(base, base) == pytest.approx(1)
    assert near(base, "the cat sat on the sofa") > near(base, "quarterly revenue grew sharply")


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "required": ["a"]},
    {"type": "object", "properties": {"k": {"enum": ["x", "y"]}, "n": {"type": ["null", "number"]}}},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"v": {"const": 7}}, "required": ["v"]}},
    },
    {"anyOf": [{"type": "string", "minLength": 20, "maxLength": 25}, {"type": "null"}]},
    {"oneOf": [{"type": "object", "properties": {"d": {"type": "string", "format": "date"}}, "required": ["d"]}]},
    {
        "allOf": [
            {"type": "object", "required": ["b"]},
            {"properties": {"b": {"type": "number", "exclusiveMinimum": 1}}},
        ]
    },
    {"type": "integer", "multipleOf": 5, "minimum": 11},
    {
        "type": "object",
        "properties": {"p": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}},
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_an_instance_meets_its_schema(schema):
    for hint in ("4", "yes", "some words"):
        value = json.loads(json.dumps(instance(schema, hint)))
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(value)


def test_a_schema_that_holds_itself_ends():
    node = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}}
    assert json.dumps(instance(node, "x"))
