"""What every dialect promises, run over every file of the folder and, for hostile input, by Hypothesis."""

import copy
import json
from dataclasses import replace
from importlib import import_module
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_samples import SAMPLES, Sample, encoded

from providers.dialects import load, names, read_json
from providers.errors import (
    AuthenticationFailed,
    BadRequest,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.types import (
    Answer,
    Effort,
    FinishReason,
    Image,
    Message,
    ModelCard,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

EVERY = pytest.mark.parametrize("name", names())
CARD = ModelCard(
    id="m-1",
    context_window=100_000,
    capabilities=frozenset({"streaming", "sampling", "json", "tools", "vision", "reasoning"}),
    efforts=("none", "low", "medium", "high"),
)
PLAIN = replace(CARD, capabilities=frozenset({"streaming"}), efforts=())
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool("add", "Add one.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def said(role: Any, *parts: Any) -> Message:
    return Message(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


ASK = Request((said("user", "Say hello."),), max_tokens=2000)
CONVERSATION = Request(
    (
        said("system", "Be terse."),
        said("user", "What is 1 + 1?", Image("image/png", data=b"\x89PNG")),
        said("assistant", "Let me see.", ToolCall("call_a", "add", '{"a": 1}'), ToolCall("call_b", "add", "broken")),
        said("tool", ToolResult("call_a", "2"), ToolResult("call_b", "no", is_error=True)),
        said("user", Text("Thanks. And now?", cache_until_here=True)),
    ),
    system="You add.",
    max_tokens=4000,
    tools=(TOOL,),
)
REQUESTS = {
    "plain": ASK,
    "conversation": CONVERSATION,
    "schema": replace(ASK, schema=SCHEMA),
    "schema of an array": replace(ASK, schema={"type": "array", "items": {"type": "string"}}),
    "sampling": replace(ASK, temperature=0.3, top_p=0.9, seed=7, frequency_penalty=0.1, presence_penalty=0.2),
    "stop": replace(ASK, stop=("a", "b", "c", "d", "e", "f")),
    "required tool": replace(CONVERSATION, tool_choice="required", parallel_tools=False),
    "named tool": replace(CONVERSATION, tool_choice="add"),
    "no tool": replace(CONVERSATION, tool_choice="none"),
    "cache key": replace(ASK, prompt_cache_key="k"),
    "no limit": replace(ASK, max_tokens=None),
    **{f"effort {effort}": replace(ASK, reasoning=effort) for effort in get_args(Effort)},
}


def sample(name: str) -> Sample:
    assert name in SAMPLES, f"tests/wire_samples.py needs an entry for the dialect {name!r}"
    return SAMPLES[name]


def folded(name: str, stream: Any, card: ModelCard = CARD) -> tuple[Answer, list[Any], bool]:
    fold, deltas = load(name).fold(card), []
    for event_name, value in stream:
        deltas += fold.event(event_name, value if isinstance(value, bytes) else encoded(value))
    return fold.answer(), deltas, fold.done


def wholly(name: str, body: Any) -> Answer:
    fold = load(name).fold(CARD)
    fold.whole(body)
    return fold.answer()


@EVERY
def test_the_dialect_of_a_file_has_its_name_and_a_known_framing(name: str) -> None:
    dialect = load(name)
    assert dialect.name == name
    assert dialect.framing in ("sse", "ndjson")
    assert import_module(f"providers.dialects.{name}").__doc__


@EVERY
@pytest.mark.parametrize("card", [CARD, PLAIN, replace(CARD, flags=frozenset({"budget_thinking"}))], ids="fpb")
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("stream", [True, False])
def test_every_request_is_written_as_json_below_the_base_url(
    name: str, card: ModelCard, kind: str, stream: bool
) -> None:
    before = copy.deepcopy(REQUESTS[kind])
    call = load(name).render(REQUESTS[kind], card, stream=stream)
    assert call.path.startswith("/")
    assert call.method == "POST"
    assert json.loads(json.dumps(call.body, allow_nan=False)) is not None
    assert REQUESTS[kind] == before, "a request is never changed by writing it"
    assert all(isinstance(warning, str) for warning in call.warnings)


@EVERY
def test_the_words_of_all_turns_and_the_calls_ids_reach_the_wire(name: str) -> None:
    written = json.dumps(load(name).render(CONVERSATION, CARD, stream=True).body, ensure_ascii=False)
    for words in ("You add.", "Be terse.", "What is 1 + 1?", "Let me see.", "Thanks. And now?", "Add one.", "iVBORw=="):
        assert words in written or (words == "iVBORw==" and "iVBOR" in written)
    assert written.count('"add"') >= 3, "a tool and two calls of it"


@EVERY
def test_what_a_model_refuses_is_dropped_with_a_warning_that_names_it(name: str) -> None:
    plain = load(name).render(ASK, PLAIN, stream=True)
    call = load(name).render(replace(REQUESTS["sampling"], reasoning="high"), PLAIN, stream=True)
    for word in ("temperature", "top_p", "frequency_penalty", "presence_penalty", "reasoning"):
        assert any(word in warning for warning in call.warnings), word
    bare = json.loads(json.dumps(call.body))
    for key in ("seed", "random_seed"):
        bare.pop(key, None)
        bare.get("options", {}).pop("seed", None)
        bare.get("generationConfig", {}).pop("seed", None)
    assert bare == json.loads(json.dumps(plain.body))
    assert plain.warnings == ()


@EVERY
def test_a_granted_effort_reaches_the_wire_and_an_odd_one_becomes_the_nearest(name: str) -> None:
    silent = load(name).render(ASK, CARD, stream=True)
    asked = load(name).render(REQUESTS["effort high"], CARD, stream=True)
    nearest = load(name).render(REQUESTS["effort max"], CARD, stream=True)
    assert asked.body != silent.body
    assert nearest.body == asked.body
    assert any("'max' became 'high'" in warning for warning in nearest.warnings)


@EVERY
def test_a_schema_is_held_by_the_provider_or_stands_in_the_instructions(name: str) -> None:
    for card in (CARD, PLAIN):
        assert '"city"' in json.dumps(load(name).render(REQUESTS["schema"], card, stream=True).body).replace('\\"', '"')
    in_words = json.dumps(load(name).render(REQUESTS["schema"], PLAIN, stream=True).body)
    assert "JSON Schema" in in_words


@EVERY
def test_a_whole_answer_is_read_completely(name: str) -> None:
    answer = wholly(name, sample(name).whole)
    check(name, answer)


@EVERY
def test_a_streamed_answer_equals_the_whole_one(name: str) -> None:
    answer, deltas, _ = folded(name, sample(name).stream)
    check(name, answer)
    assert "".join(delta.text for delta in deltas if delta.kind == "text") == "Hello"
    assert "".join(delta.text for delta in deltas if delta.kind == "reasoning") == "Hm."
    assert any(delta.kind == "tool" for delta in deltas)
    whole = wholly(name, sample(name).whole)
    assert replace(answer, reasoning=()) == replace(whole, reasoning=())


def check(name: str, answer: Answer) -> None:
    assert answer.text == "Hello"
    assert [part.text for part in answer.reasoning] == ["Hm."]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [
        ("call_a", "add", {"a": 1})
    ]
    assert answer.finish_reason == "tool_calls"
    assert answer.finish_raw
    assert (answer.usage.input, answer.usage.output) == (7, 5)
    assert answer.usage_seen
    assert not answer.usage.estimated
    assert answer.model_returned == ("" if name == "cohere" else "m-1")  # Cohere does not say


@EVERY
def test_an_unfinished_stream_never_has_a_finish_reason(name: str) -> None:
    stream = sample(name).stream
    answer, _, done = folded(name, stream[:3])
    assert answer.finish_reason is None
    assert not done
    assert answer.usage.estimated or not answer.usage_seen or name == "gemini"  # Gemini counts along


@EVERY
def test_an_answer_can_be_continued_in_every_dialect(name: str) -> None:
    answer = wholly(name, sample(name).whole)
    turns = (
        said("user", "Add."),
        Message("assistant", (*answer.reasoning, Text(answer.text), *answer.tool_calls)),
        Message("tool", (ToolResult(answer.tool_calls[0].id, "2"),)),
    )
    for other in names():
        written = json.dumps(load(other).render(Request(turns, max_tokens=50), CARD, stream=False).body)
        assert ("c2ln" in written) == (name == other == "gemini")
        assert ('"sig"' in written) == (name == other == "anthropic")
        assert f"{name}:" not in written, "the mark of origin stays at home"


@EVERY
def test_foreign_signatures_are_never_echoed(name: str) -> None:
    turn = Message("assistant", (Reasoning("hm", "elsewhere:abc"), ToolCall("c", "add", "{}", "elsewhere:def")))
    result = Message("tool", (ToolResult("c", "2"),))
    written = json.dumps(load(name).render(Request((turn, result)), CARD, stream=True).body)
    assert "abc" not in written
    assert "def" not in written


STATUSES = {
    400: BadRequest,
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: AuthenticationFailed,
    404: ModelNotFound,
    408: Unavailable,
    409: Unavailable,
    413: BadRequest,
    422: BadRequest,
    425: Unavailable,
    429: RateLimited,
    302: Malformed,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    524: Unavailable,
    529: Unavailable,
}


@EVERY
@pytest.mark.parametrize("status", STATUSES)
def test_a_status_alone_tells_the_class_and_no_word_of_the_provider_gets_out(name: str, status: int) -> None:
    for body in (b"", b"<html>secret-words</html>", b"\xff\xfe", encoded(sample(name).error), b"[]", b"null"):
        error = load(name).error(status, {}, body)
        assert type(error) is STATUSES[status]
        assert "secret-words" not in str(error)
        assert error.status == status
        assert error.after is None


WAITS = [
    ({"retry-after": "3"}, 3.0),
    ({"retry-after-ms": "250"}, 0.25),
    ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
    ({"retry-after": "999999"}, 3600.0),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "inf"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 30.0),
    ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None),
]


@EVERY
@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_waits_are_read_from_headers_clamped_and_never_guessed(name: str, headers: Any, seconds: Any) -> None:
    assert load(name).error(429, headers, b"{}").after == seconds


@EVERY
@pytest.mark.parametrize(
    "words",
    [
        "prompt is too long: 300 tokens > 200 maximum",
        "This model's maximum context length is 8192 tokens",
        "the request exceeds the available context size",
        "prompt too long; exceeded max context length",
    ],
)
def test_a_prompt_that_does_not_fit_is_known_by_its_words(name: str, words: str) -> None:
    body = json.dumps(sample(name).error).replace("secret-words", words).encode()
    error = load(name).error(400, {}, body)
    assert type(error) is ContextTooLong
    assert error.elsewhere


@EVERY
def test_an_error_inside_a_stream_is_the_providers_fault_and_billed_once_something_came(name: str) -> None:
    failing = ("error", sample(name).error)
    with pytest.raises(Unavailable) as first:
        folded(name, [failing])
    assert first.value.billed == "unknown"
    with pytest.raises(Unavailable) as later:
        folded(name, [*sample(name).stream[:5], failing])
    assert later.value.billed == "yes"
    assert "secret-words" not in str(later.value)


@EVERY
def test_lone_surrogates_are_scrubbed_and_a_pair_in_two_pieces_is_joined(name: str) -> None:
    halves = [("\\ud83d", "Hel"), ("\\ude00", "lo")]
    stream = [(event, encoded(value)) for event, value in sample(name).stream]
    for half, piece in halves:
        stream = [(event, data.replace(f'"{piece}"'.encode(), f'"{half}"'.encode())) for event, data in stream]
    stream = [(event, data.replace(b'"Hello"', b'"\\ud83d\\ude00"')) for event, data in stream]  # a closing summary
    answer, deltas, _ = folded(name, stream)
    assert answer.text == "\N{GRINNING FACE}"
    for delta in deltas:
        delta.text.encode()
    lonely = [(event, data.replace(b"\\ude00", b"x")) for event, data in stream]
    assert folded(name, lonely)[0].text == "\N{REPLACEMENT CHARACTER}x"


@EVERY
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"null", b'"text"', b"<html>", b"\xff", b"[" * 100_000])
def test_an_event_that_is_not_an_object_is_malformed(name: str, data: bytes) -> None:
    with pytest.raises(Malformed):
        load(name).fold(CARD).event("", data)


@EVERY
@pytest.mark.parametrize("body", [None, 1, "x", [], {}, {"choices": 1}, {"content": None}, {"output": "x"}])
def test_a_whole_answer_of_the_wrong_shape_is_malformed(name: str, body: Any) -> None:
    with pytest.raises(Malformed):
        load(name).fold(CARD).whole(body)


@EVERY
def test_embeddings_keep_the_order_of_their_texts(name: str) -> None:
    dialect: Any = load(name)
    if (body := sample(name).embedding) is None:
        assert not hasattr(dialect, "render_embed")
        return
    assert json.dumps(dialect.render_embed(["a", "b"], "e-1").body)
    assert dialect.parse_embed(body).vectors == ((0.25, 0.0), (0.5, 1.0))
    for wrong in (None, {}, {"data": []}, {"embeddings": [["x"]]}, {"data": [{"index": 5, "embedding": [1]}]}):
        with pytest.raises(Malformed):
            dialect.parse_embed(wrong)


@EVERY
def test_a_model_list_is_read_page_by_page(name: str) -> None:
    dialect: Any = load(name)
    call = dialect.render_list()
    assert call.method == "GET"
    listed, following = dialect.parse_list(sample(name).listing)
    assert [model.id for model in listed] == ["m-1"]
    assert following is None or (following.startswith(call.path) and following != call.path)
    for wrong in (None, {}, "x", {"data": 1}, {"models": 1}):
        with pytest.raises(Malformed):
            dialect.parse_list(wrong)


@EVERY
def test_tokens_are_counted_by_providers_that_can(name: str) -> None:
    dialect: Any = load(name)
    if (body := sample(name).counted) is None:
        assert not hasattr(dialect, "render_count")
        return
    assert json.dumps(dialect.render_count(CONVERSATION, CARD).body)
    assert dialect.parse_count(body) == 9
    for wrong in (None, {}, {"input_tokens": -1}, {"totalTokens": "x"}, {"tokens": 3}):
        with pytest.raises(Malformed):
            dialect.parse_count(wrong)


# Hostile input. Leaves that have broken parsers: wrong types, extremes, halves of surrogate pairs.
LEAVES = st.sampled_from(
    [None, True, False, 0, -1, 3, 10**18, -0.5, 1e300, float("nan"), float("inf"), "", "x", "stop", "\ud800", [], {}]
)
WORDS = st.sampled_from(
    [
        *(
            "choices",
            "delta",
            "message",
            "content",
            "text",
            "type",
            "usage",
            "error",
            "index",
            "finish_reason",
            "output",
        ),
        *(
            "candidates",
            "parts",
            "functionCall",
            "tool_calls",
            "function",
            "arguments",
            "response",
            "item",
            "data",
            "id",
        ),
        *(
            "input",
            "thinking",
            "reasoning",
            "details",
            "code",
            "status",
            "embedding",
            "models",
            "name",
            "done",
            "done_reason",
        ),
    ]
)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4))
HOSTILE = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def with_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = with_at(value[path[0]], path[1:], new)
    return value


def survives(fold: Any, act: Any) -> None:
    """Whatever happens inside, the answer so far can be read and holds nothing a careful reader would refuse."""
    try:
        act(fold)
    except ProviderError as error:
        str(error).encode()
        assert error.after is None or 0 < error.after <= 3600
    answer = fold.answer()
    texts = [answer.text, answer.finish_raw, answer.model_returned, answer.refusal or "", answer.provider_request_id]
    texts += [text for call in answer.tool_calls for text in (call.id, call.name, call.arguments)]
    texts += [part.text for part in answer.reasoning]
    for text in texts:
        text.encode()
    usage = answer.usage
    assert 0 <= usage.cached_input + usage.cache_write <= usage.input <= 10**8
    assert 0 <= usage.reasoning <= usage.output <= 10**8
    assert usage.cost_usd is None or 0 < usage.cost_usd < 10_000
    assert answer.finish_reason is None or answer.finish_reason in get_args(FinishReason)


@EVERY
@given(data=st.data())
@HOSTILE
def test_a_stream_with_anything_in_any_place_raises_nothing_but_provider_errors(name: str, data: Any) -> None:
    stream = list(SAMPLES[name].stream)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(stream) - 1))
        event, value = stream[number]
        path = data.draw(st.sampled_from(places(value)))
        stream[number] = (event, with_at(value, path, data.draw(JSON)))

    def act(fold: Any) -> None:
        for event, value in stream:
            for delta in fold.event(event, encoded(value)):
                delta.text.encode()

    survives(load(name).fold(CARD), act)


@EVERY
@given(data=st.data())
@HOSTILE
def test_a_whole_answer_with_anything_in_any_place_raises_nothing_but_provider_errors(name: str, data: Any) -> None:
    body = SAMPLES[name].whole
    for _ in range(data.draw(st.integers(1, 3))):
        body = with_at(body, data.draw(st.sampled_from(places(body))), data.draw(JSON))
    survives(load(name).fold(CARD), lambda fold: fold.whole(body))


@EVERY
@given(event=st.sampled_from(["", "error", "message_start", "\x00"]), data=st.binary(max_size=80))
@HOSTILE
def test_any_bytes_as_an_event_raise_nothing_but_provider_errors(name: str, event: str, data: bytes) -> None:
    survives(load(name).fold(CARD), lambda fold: fold.event(event, data))


@EVERY
@given(data=st.data())
@HOSTILE
def test_any_error_body_has_a_class(name: str, data: Any) -> None:
    body = SAMPLES[name].error
    body = with_at(body, data.draw(st.sampled_from(places(body))), data.draw(JSON))
    raw = data.draw(st.sampled_from([encoded(body), encoded([body])]) | st.binary(max_size=60))
    headers = data.draw(st.dictionaries(st.sampled_from(["retry-after", "date", "x-request-id"]), st.text(max_size=30)))
    error = load(name).error(data.draw(st.integers(100, 999)), headers, raw)
    assert isinstance(error, ProviderError)
    assert error.after is None or 0 < error.after <= 3600


@EVERY
@given(data=st.data())
@HOSTILE
def test_side_answers_with_anything_in_any_place_raise_nothing_but_provider_errors(name: str, data: Any) -> None:
    dialect: Any = load(name)
    sample = SAMPLES[name]
    for parse, body in (("embed", sample.embedding), ("list", sample.listing), ("count", sample.counted)):
        if body is None:
            continue
        hostile = with_at(body, data.draw(st.sampled_from(places(body))), data.draw(JSON))
        try:
            getattr(dialect, f"parse_{parse}")(hostile)
        except ProviderError:
            pass


@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_reading_json_gives_a_value_or_malformed(data: bytes) -> None:
    try:
        read_json(data)
    except Malformed:
        pass
