"""openai_chat: what each speaker does differently, as flags going out and as shapes coming in."""

from dataclasses import replace
from typing import Any

import pytest
from wire_samples import chat_chunk, encoded

from providers.dialects.openai_chat import dialect
from providers.errors import AuthenticationFailed, ContextTooLong, NotHere, QuotaExhausted, RateLimited, Unavailable
from providers.types import Answer, Message, ModelCard, Reasoning, Request, Text, Tool, ToolCall, ToolResult

CARD = ModelCard(
    "m", capabilities=frozenset({"streaming", "sampling", "json", "tools"}), efforts=("none", "low", "high")
)
ASK = Request((Message("user", (Text("Hi"),)),), max_tokens=9)
TOOL = Tool("add", "Add.", {"type": "object", "properties": {}})


def flagged(*flags: str) -> ModelCard:
    return replace(CARD, flags=frozenset(flags))


def body(request: Request, card: ModelCard = CARD, *, stream: bool = False) -> dict[str, Any]:
    return dict(dialect.render(request, card, stream=stream).body or {})


def whole(**completion: Any) -> Answer:
    fold = dialect.fold(CARD)
    fold.whole({"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "x"}}], **completion})
    return fold.answer()


def usage_of(usage: Any, card: ModelCard = CARD) -> Any:
    fold = dialect.fold(card)
    fold.whole({"choices": [{"finish_reason": "stop", "message": {"content": "x"}}], "usage": usage})
    return fold.answer().usage


def test_a_plain_request_is_what_every_server_takes() -> None:
    assert body(ASK) == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    assert body(ASK, stream=True) == body(ASK) | {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("flag", "request_", "written"),
    [
        ("max_completion_tokens", ASK, {"max_completion_tokens": 9}),
        ("random_seed", replace(ASK, seed=3), {"random_seed": 3}),
        ("prompt_cache_key", replace(ASK, prompt_cache_key="k"), {"prompt_cache_key": "k"}),
        ("effort_object", replace(ASK, reasoning="low"), {"reasoning": {"effort": "low"}}),
        ("reasoning_enabled", replace(ASK, reasoning="none"), {"reasoning": {"enabled": False}}),
        ("reasoning_parsed", ASK, {"reasoning_format": "parsed"}),
        ("thinking_type", replace(ASK, reasoning="none"), {"thinking": {"type": "disabled"}}),
        (
            "thinking_type",
            replace(ASK, reasoning="high"),
            {"thinking": {"type": "enabled"}, "reasoning_effort": "high"},
        ),
    ],
)
def test_a_flag_changes_how_a_wish_is_written(flag: str, request_: Request, written: dict[str, Any]) -> None:
    found = body(request_, flagged(flag))
    assert {name: found.get(name) for name in written} == written


def test_sampling_is_allowed_while_reasoning_is_off() -> None:
    card = replace(CARD, capabilities=frozenset({"streaming"}), flags=frozenset({"sampling_at_none"}))
    warm = replace(ASK, temperature=0.5)
    assert "temperature" not in body(warm, card)
    assert body(replace(warm, reasoning="none"), card)["temperature"] == 0.5
    assert "temperature" in body(warm, replace(card, flags=card.flags | {"effort_default_none"}))


def test_a_schema_is_sent_strict_where_it_can_be_tightened_and_as_it_is_where_it_cannot() -> None:
    loose = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "number"}}}}}
    sent = body(replace(ASK, schema=loose))["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["a"]
    assert sent["schema"]["properties"]["a"]["additionalProperties"] is False
    assert "required" not in loose
    for open_schema in (
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "oneOf": [{"type": "object"}]},
    ):
        assert body(replace(ASK, schema=open_schema))["response_format"]["json_schema"]["strict"] is False


def test_deepseek_gets_json_mode_and_the_schema_in_words() -> None:
    sent = body(replace(ASK, schema={"type": "object", "title": "Marker"}), flagged("json_object_only"))
    assert sent["response_format"] == {"type": "json_object"}
    assert "Marker" in sent["messages"][0]["content"]


def test_deepseek_stops_thinking_to_be_forced() -> None:
    forced = replace(ASK, tools=(TOOL,), tool_choice="add", reasoning="high")
    call = dialect.render(forced, flagged("thinking_type", "no_forced_tool"), stream=False)
    assert call.body is not None
    assert call.body["thinking"] == {"type": "disabled"}
    assert call.body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert any("reasoning" in warning for warning in call.warnings)


def test_a_model_that_cannot_be_forced_chooses_itself_with_a_warning() -> None:
    call = dialect.render(replace(ASK, tools=(TOOL,), tool_choice="required"), flagged("no_forced_tool"), stream=False)
    assert call.body is not None
    assert "tool_choice" not in call.body
    assert len(call.warnings) == 1


def test_without_a_tool_choice_field_none_means_no_tools() -> None:
    assert "tools" not in body(replace(ASK, tools=(TOOL,), tool_choice="none"), flagged("no_tool_choice"))


def test_mistrals_call_ids_are_nine_letters_in_call_and_result_alike() -> None:
    turns = (
        Message("assistant", (ToolCall("toolu_01_very-long", "add", "{}"),)),
        Message("tool", (ToolResult("toolu_01_very-long", "2"),)),
    )
    call, result = body(Request(turns), flagged("short_tool_ids"))["messages"]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9
    assert result["tool_call_id"].isalnum()


def test_reasoning_goes_back_on_tool_turns_where_asked_for() -> None:
    turn = Message("assistant", (Reasoning("hm"), ToolCall("c", "add", "{}")))
    assert body(Request((turn,)), flagged("echo_reasoning"))["messages"][0]["reasoning_content"] == "hm"
    assert "reasoning_content" not in body(Request((turn,)))["messages"][0]


STREAMED = [
    [{"type": "reasoning.text", "text": "Let me ", "format": "anthropic-claude-v1", "index": 0, "signature": None}],
    [{"type": "reasoning.text", "text": "think.", "format": "anthropic-claude-v1", "index": 0}],
    [{"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}],
    [{"type": "reasoning.encrypted", "data": "ZW5j", "id": "call_1", "index": 0}, {"type": "other", "text": "a"}],
    [{"type": "other", "text": "b"}],
]
DETAILS = [
    {
        "type": "reasoning.text",
        "text": "Let me think.",
        "format": "anthropic-claude-v1",
        "index": 0,
        "signature": "c2ln",
    },
    {"type": "reasoning.encrypted", "data": "ZW5j", "id": "call_1", "index": 0},
    {"type": "other", "text": "a"},
    {"type": "other", "text": "b"},
]


def detailed(*deltas: dict[str, Any], card: ModelCard) -> Answer:
    fold = dialect.fold(card)
    for delta in deltas:
        fold.event("", encoded(chat_chunk(delta)))
    return fold.answer()


def test_openrouters_reasoning_details_go_back_in_whole_blocks_to_the_model_that_wrote_them() -> None:
    card = flagged("reasoning_details")
    pieces = [{"reasoning": "".join(d.get("text", "") for d in each), "reasoning_details": each} for each in STREAMED]
    streamed = detailed(*pieces, {"content": "4"}, card=card)
    assert [thought.text for thought in streamed.reasoning] == ["Let me think.ab"]
    whole = detailed({"content": "4", "reasoning_details": DETAILS}, card=card)
    for answer in (streamed, whole):
        turn = Message("assistant", (*answer.reasoning, Text("4")))
        assert body(Request((turn,)), card)["messages"] == [
            {"role": "assistant", "content": "4", "reasoning_details": DETAILS}
        ]
        for other in (flagged(), replace(card, id="another")):
            assert body(Request((turn,)), other)["messages"] == [{"role": "assistant", "content": "4"}]


def test_reasoning_details_are_no_more_than_text_where_nobody_wants_them_back() -> None:
    (thought,) = detailed({"reasoning_details": DETAILS}, card=CARD).reasoning
    assert thought == Reasoning("Let me think.ab")


def test_reasoning_details_of_any_shape_are_taken() -> None:
    odd = [{"type": ["x"], "index": {"y": [1]}, "data": 7, "deep": [[[]]]}, {"index": 0, "text": 5}, "no"]
    (thought,) = detailed({"reasoning_details": odd}, card=flagged("reasoning_details")).reasoning
    assert thought.text == ""


def test_cache_hints_are_written_where_they_are_known() -> None:
    hinted = Request((Message("user", (Text("long", cache_until_here=True), Text("short"))),))
    assert body(hinted)["messages"][0]["content"] == "longshort"
    parts = body(hinted, flagged("cache_control"))["messages"][0]["content"]
    assert [("cache_control" in part) for part in parts] == [True, False]


def test_xai_counts_reasoning_beside_the_output_and_openai_inside() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 290}}
    beside = usage_of({"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303, **details})
    assert (beside.input, beside.output, beside.reasoning) == (12, 291, 290)
    inside = usage_of({"prompt_tokens": 12, "completion_tokens": 300, "total_tokens": 312, **details})
    assert (inside.output, inside.reasoning) == (300, 290)
    unsummed = usage_of({"prompt_tokens": 12, "completion_tokens": 1, **details}, flagged("reasoning_beside_output"))
    assert unsummed.output == 291


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4},
        {"num_cached_tokens": 6},
        {"cached_tokens": 6},
    ],
)
def test_cached_tokens_are_found_wherever_they_stand(cached: dict[str, Any]) -> None:
    assert usage_of({"prompt_tokens": 10, "completion_tokens": 1, **cached}).cached_input == 6


@pytest.mark.parametrize(
    ("reported", "usd"),
    [
        ({"cost_in_usd_ticks": 1_466_250}, 0.000146625),
        ({"cost_in_usd_ticks": 0}, None),
        ({"cost": 0.0025}, 0.0025),
        ({"cost": 0}, None),
        ({"cost": {"total_cost": 0.005}}, 0.005),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 0.021),
        ({"cost": -1}, None),
        ({"cost": 1e9}, None),
        ({"cost": float("nan")}, None),
    ],
)
def test_a_reported_price_is_kept_and_zero_means_none_was_reported(reported: dict[str, Any], usd: Any) -> None:
    found = usage_of({"prompt_tokens": 1, "completion_tokens": 1, **reported}).cost_usd
    assert found == (pytest.approx(usd) if usd else None)


@pytest.mark.parametrize("wrong", [None, "7", -1, 10**18, float("nan"), 1.5, True, []])
def test_an_absurd_count_makes_the_usage_estimated_and_never_negative(wrong: Any) -> None:
    found = usage_of({"prompt_tokens": wrong, "completion_tokens": 5})
    assert found.estimated
    assert (found.input, found.output) == (0, 5)


def test_the_last_usage_of_a_stream_wins_and_groqs_own_place_is_known() -> None:
    fold = dialect.fold(CARD)
    for spoken in (1, 2, 3):
        fold.event("", encoded(chat_chunk({"content": "x"}, usage={"prompt_tokens": 8, "completion_tokens": spoken})))
    assert fold.answer().usage.output == 3
    fold = dialect.fold(CARD)
    fold.event(
        "", encoded(chat_chunk({}, finish="stop", x_groq={"usage": {"prompt_tokens": 8, "completion_tokens": 2}}))
    )
    assert fold.answer().usage.output == 2


def test_perplexitys_last_event_ends_the_stream_without_done() -> None:
    fold = dialect.fold(CARD)
    fold.event("", encoded({**chat_chunk({"content": "x"}, finish="stop"), "object": "chat.completion.done"}))
    assert fold.done


def test_a_refusal_says_stop_and_is_none() -> None:
    fold = dialect.fold(CARD)
    fold.whole({"choices": [{"finish_reason": "stop", "message": {"content": None, "refusal": "I cannot."}}]})
    assert (fold.answer().finish_reason, fold.answer().refusal) == ("content_filter", "I cannot.")


def test_azures_filtered_choice_without_a_message_is_an_answer_of_the_filter() -> None:
    fold = dialect.fold(CARD)
    fold.whole({"choices": [{"finish_reason": "content_filter"}]})
    assert fold.answer().finish_reason == "content_filter"


def test_mistrals_list_content_is_split_into_thinking_and_text() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]
    fold = dialect.fold(CARD)
    fold.event("", encoded(chat_chunk({"content": content}, finish="stop")))
    assert (fold.answer().text, fold.answer().reasoning[0].text) == ("yes", "hm")


def test_calls_are_joined_by_index_by_id_and_kept_apart_when_ids_differ() -> None:
    pieces = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}},
        {"index": 0, "id": "", "function": {"name": "", "arguments": ":1}"}},
        {"index": 0, "id": "b", "function": {"name": "g", "arguments": "{}"}},
        {"id": "c", "function": {"name": "h", "arguments": "{"}},
        {"function": {"arguments": "}"}},
    ]
    fold = dialect.fold(CARD)
    for piece in pieces:
        fold.event("", encoded(chat_chunk({"tool_calls": [piece]})))
    found = [(call.id, call.name, call.arguments) for call in fold.answer().tool_calls]
    assert found == [("a", "f", '{"x":1}'), ("b", "g", "{}"), ("c", "h", "{}")]


def test_empty_words_are_absent_words() -> None:
    answer = whole(
        choices=[{"finish_reason": "", "message": {"content": "x", "refusal": "", "function_call": {"name": ""}}}]
    )
    assert (answer.text, answer.tool_calls, answer.refusal, answer.finish_reason) == ("x", (), None, "stop")
    assert answer.warnings


def test_an_unknown_finish_word_is_kept_and_warned_of() -> None:
    answer = whole(choices=[{"finish_reason": "novel", "message": {"content": "x"}}])
    assert (answer.finish_raw, answer.finish_reason) == ("novel", "stop")
    assert answer.warnings


def test_googles_signature_on_its_openai_side_is_echoed() -> None:
    google = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    fold = dialect.fold(CARD)
    fold.event("", encoded(chat_chunk({"tool_calls": [{"id": "a", "function": {"name": "f"}, **google}]})))
    written = body(Request((Message("assistant", fold.answer().tool_calls),)))["messages"][0]["tool_calls"][0]
    assert written["extra_content"] == google["extra_content"]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"error": {"code": "insufficient_quota"}}, QuotaExhausted),
        (429, {"error": {"code": "credit_balance_exhausted"}}, QuotaExhausted),
        (429, {"error": {"code": "slow_down"}}, RateLimited),
        (400, {"code": "invalid-argument", "error": "Incorrect API key provided"}, AuthenticationFailed),  # xAI
        (
            403,
            {"error": {"message": "the prompt exceeds the maximum context length is 8192"}},
            ContextTooLong,
        ),  # Together
        (413, {"error": {"code": "rate_limit_exceeded", "message": "TPM"}}, ContextTooLong),  # Groq
        (498, {"error": {"code": "capacity_exceeded"}}, Unavailable),  # Groq
        (400, {"error": {"code": "unsupported_parameter", "message": "stop"}}, NotHere),
        (400, {"error": {"code": "tool_use_failed"}}, NotHere),  # Groq
        (401, {"detail": "Invalid API Key"}, AuthenticationFailed),  # Mistral
        (401, {"error": {"code": 401, "message": "No cookie"}}, AuthenticationFailed),  # OpenRouter
    ],
)
def test_each_speakers_error_is_known_for_what_it_is(status: int, error: Any, kind: type) -> None:
    assert type(dialect.error(status, {}, encoded(error))) is kind


def test_usage_beside_an_error_is_kept_for_the_ledger() -> None:
    fold = dialect.fold(CARD)
    chunk = {"error": {"code": 502, "message": "x"}, "usage": {"prompt_tokens": 43, "completion_tokens": 10}}
    with pytest.raises(Unavailable):
        fold.event("", encoded(chunk))
    assert fold.answer().usage.input == 43
