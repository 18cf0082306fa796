"""A text event that repeats an earlier one in all but its text is read without the parser, and never read otherwise."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects import load
from providers.dialects._refrain import Refrain
from providers.errors import ProviderError
from providers.types import ModelCard


def event(text: object, finish: str | None = None, delta: dict | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text, **(delta or {})}, "finish_reason": finish}
    return json.dumps({"id": "c", "model": "m", **more, "choices": [choice]}, ensure_ascii=False).encode()


def learnt(data: bytes) -> Refrain:
    refrain = Refrain("content")
    assert refrain.learn(data, json.loads(data)["choices"][0]["delta"])
    return refrain


@pytest.mark.parametrize("text", ["a", " many words of it ", "größer 日本 🎉"])
def test_what_differs_only_in_its_text_is_read_without_the_parser(text):
    assert learnt(event("first")).text(event(text)) == text
    assert learnt(event(text)).text(event("next")) == "next"


@pytest.mark.parametrize(
    "other",
    [
        event("b", "stop"),
        event("b", usage={"total_tokens": 3}),
        event("b", delta={"refusal": "no"}),
        event("b").replace(b'"id": "c"', b'"id": "d"'),
        event('a "b"'),
        event("a\nb"),
        event("a\\b"),
        event("").replace(b'""', b'"'),  # both ends are there, and share a quote
        event(""),
        event("b").replace(b'"b"', b'"\x01"'),
        event("b").replace(b'"b"', b'"\xff"'),
        event("b").replace(b'"b"', b'"\xed\xa0\xbd"'),
        event("b")[:-1],
        b"[DONE]",
        b"",
    ],
)
def test_whatever_else_differs_is_left_to_the_parser(other):
    assert learnt(event("a")).text(other) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (event("a", delta={"reasoning": "hm"}), event("b", delta={"reasoning": "hm"})),
        (event("a", delta={"tool_calls": [{}]}), event("b", delta={"tool_calls": [{}]})),
        (event("m"), event("m").replace(b'"model": "m"', b'"model": "n"')),
        (b'{"message":{"content": "a"},' + event("a")[1:], b'{"message":{"content": "b"},' + event("a")[1:]),
        (event("a").replace(b'"a"', b'"\\u0061"'), event("b")),
        (event(""), event("b")),
        (event(None), event("b")),
        (event([{"text": "a"}]), event([{"text": "b"}])),
    ],
)
def test_nothing_is_expected_after_an_event_that_says_more_or_says_it_otherwise(first, second):
    assert learnt(first).text(second) is None


def test_who_never_repeats_an_event_is_left_alone_and_who_does_may_change_it_at_times():
    padded, changing = Refrain("content"), Refrain("content")
    assert [padded.learn(event("a", p="x" * n), {"content": "a"}) for n in range(3)] == [True, True, False]
    for second in range(9):
        assert changing.learn(event("a", created=second), {"content": "a"})
        assert changing.text(event("b", created=second)) == "b"


TEXTS = st.text(max_size=6) | st.sampled_from(["a", "m", "content", '","content":"', "\\", "\n", "\x7f", "\u2028"])
DELTAS = st.fixed_dictionaries(
    {"content": TEXTS},
    optional={"role": st.just("assistant"), "reasoning": TEXTS, "refusal": TEXTS, "content2": TEXTS},
)
EVENTS = st.builds(
    lambda delta, finish, more, ascii_only: json.dumps(
        {**more, "choices": [{"delta": delta, "finish_reason": finish}]}, ensure_ascii=ascii_only
    ).encode("utf-8", "surrogatepass"),
    DELTAS,
    st.sampled_from([None, None, None, "stop", "length"]),
    st.sampled_from(
        [
            *({}, {"id": "c"}, {"id": "d"}, {"id": "c", "model": "m"}, {"m": {"content": "a"}}, {"error": "e"}),
            *({"usage": {"prompt_tokens": tokens}} for tokens in (1, 2)),
            *({"x_groq": {"usage": {"prompt_tokens": tokens}}} for tokens in (1, 2)),
        ]
    ),
    st.booleans(),
)
CUTS = st.tuples(st.integers(0, 40), st.binary(max_size=2))


def folded(events: list[bytes], name: str = "") -> list[object]:
    fold, seen = load("openai_chat").fold(ModelCard("m")), list[object]()
    try:
        seen += [fold.event(name, data) for data in events]
    except ProviderError as error:
        seen.append(str(error))
    return [*seen, fold.answer()]


@settings(max_examples=500, deadline=None, database=None)
@given(st.lists(EVENTS, min_size=2, max_size=8), st.none() | CUTS)
def test_a_stream_is_read_the_same_with_and_without(events, damage):
    """An event with a name of its own is always parsed."""
    if damage is not None:
        at, by = damage
        events[-1] = events[-1][:at] + by + events[-1][at + 1 :]
    again = [*events[:-1], *events]
    assert folded(again) == folded(again, "message")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (event("a", "stop"), event("", "length")),
        (event("a", usage={"prompt_tokens": 1}), event("", usage={"prompt_tokens": 2})),
        (
            event("a", x_groq={"usage": {"prompt_tokens": 1}}),
            event("", x_groq={"usage": {"prompt_tokens": 2}}),
        ),
        (event("a", model=""), event("", model="", id="d")),
    ],
)
def test_what_else_an_event_says_is_heard_again_after_another_said_otherwise(one, other):
    assert folded([one, other, one]) == folded([one, other, one], "message")
