"""What is peculiar to openai_responses, anthropic, gemini, ollama and cohere."""

from dataclasses import replace
from typing import Any

import pytest
from wire_samples import RESPONSE, cohere, encoded, gemini

from providers.dialects import load
from providers.errors import AuthenticationFailed, NotHere, QuotaExhausted, RateLimited, Unavailable
from providers.types import Answer, Image, Message, ModelCard, Reasoning, Request, Text, Tool, ToolCall, ToolResult

ALL = frozenset({"streaming", "sampling", "json", "tools", "vision", "reasoning"})
CARD = ModelCard("m", context_window=200_000, max_output=8000, capabilities=ALL, efforts=("none", "low", "high"))
ASK = Request((Message("user", (Text("Hi"),)),), max_tokens=5000)
TOOL = Tool("add", "Add.", {"type": "object", "properties": {}})
FORCED = replace(ASK, tools=(TOOL,), tool_choice="add")


def body(name: str, request: Request, *flags: str, card: ModelCard = CARD) -> dict[str, Any]:
    return dict(load(name).render(request, replace(card, flags=frozenset(flags)), stream=True).body or {})


def warned(name: str, request: Request, *flags: str) -> tuple[str, ...]:
    return load(name).render(request, replace(CARD, flags=frozenset(flags)), stream=True).warnings


def whole(name: str, value: Any) -> Answer:
    fold = load(name).fold(CARD)
    fold.whole(value)
    return fold.answer()


def test_responses_stores_nothing_and_asks_for_encrypted_reasoning() -> None:
    sent = body("openai_responses", replace(ASK, max_tokens=3))
    assert (sent["store"], sent["include"]) == (False, ["reasoning.encrypted_content"])
    assert sent["max_output_tokens"] == 16


def test_responses_reasoning_goes_back_as_it_came() -> None:
    item = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": "xyz",
    }
    answer = whole("openai_responses", {**RESPONSE, "output": [item]})
    sent = body("openai_responses", Request((Message("assistant", answer.reasoning),)))
    assert sent["input"] == [item]


def test_responses_final_word_repairs_a_stream_that_lost_pieces() -> None:
    fold = load("openai_responses").fold(CARD)
    fold.event("", encoded({"type": "response.output_text.delta", "delta": "Hel"}))
    deltas = fold.event("", encoded({"type": "response.completed", "response": RESPONSE}))
    assert [delta.text for delta in deltas if delta.kind == "text"] == ["lo"]
    assert fold.answer().text == "Hello"
    assert fold.done


@pytest.mark.parametrize(("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")])
def test_an_incomplete_response_says_why(reason: str, finish: str) -> None:
    answer = whole(
        "openai_responses", {**RESPONSE, "output": [], "status": "incomplete", "incomplete_details": {"reason": reason}}
    )
    assert answer.finish_reason == finish


def test_a_failed_response_is_an_error_and_keeps_its_usage() -> None:
    fold = load("openai_responses").fold(CARD)
    failed = {**RESPONSE, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}}
    with pytest.raises(RateLimited):
        fold.event("", encoded({"type": "response.failed", "response": failed}))
    assert fold.answer().usage.input == 7


def test_claudes_versions_differ_in_the_header_and_in_sampling() -> None:
    warm = replace(ASK, temperature=1.5)
    new = load("anthropic").render(warm, CARD, stream=True)
    assert new.body is not None
    assert "temperature" not in new.body
    assert load("anthropic").headers("k") | new.headers == {"anthropic-version": "2026-10-21", "x-api-key": "k"}
    old = load("anthropic").render(warm, replace(CARD, flags=frozenset({"version_2023"})), stream=True)
    assert old.body is not None
    assert old.body["temperature"] == 1.0
    assert old.headers == {"anthropic-version": "2023-06-01"}


def test_claude_always_gets_a_limit_and_joined_turns() -> None:
    turns = (
        Message("user", (Text("a"),)),
        Message("user", (Text("b"), Text(""))),
        Message("assistant", (ToolCall("x/1", "add", "{}"), ToolCall("y", "add", "broken"))),
        Message("tool", (ToolResult("x/1", "1"),)),
        Message("tool", (ToolResult("y", "no", is_error=True),)),
    )
    sent = body("anthropic", Request(turns))
    assert sent["max_tokens"] == 8000
    assert [(turn["role"], len(turn["content"])) for turn in sent["messages"]] == [
        ("user", 2),
        ("assistant", 2),
        ("user", 2),
    ]
    assert sent["messages"][1]["content"][0]["id"] == sent["messages"][2]["content"][0]["tool_use_id"] == "x_1"
    assert sent["messages"][1]["content"][1]["input"] == {}
    assert sent["messages"][2]["content"][1]["is_error"] is True


@pytest.mark.parametrize(
    ("flags", "effort", "thinking"),
    [
        ((), "high", {"type": "adaptive", "display": "summarized"}),
        ((), "none", {"type": "disabled"}),
        (("thinking_between_tools",), "none", {"type": "between_tools"}),
        (("budget_thinking",), "low", {"type": "enabled", "budget_tokens": 1024}),
        (("budget_thinking",), "high", {"type": "enabled", "budget_tokens": 4000}),
        (("budget_thinking",), "none", None),
    ],
)
def test_claudes_thinking_is_written_in_its_generations_form(flags: Any, effort: Any, thinking: Any) -> None:
    assert body("anthropic", replace(ASK, reasoning=effort), *flags).get("thinking") == thinking


def test_claude_with_a_forced_tool_does_not_think_and_says_so() -> None:
    assert "thinking" not in body("anthropic", replace(FORCED, reasoning="high"))
    assert any("reasoning" in warning for warning in warned("anthropic", replace(FORCED, reasoning="high")))
    assert body("anthropic", FORCED)["tool_choice"] == {"type": "tool", "name": "add"}


def test_a_budget_that_does_not_fit_is_not_bought() -> None:
    small = replace(ASK, max_tokens=1000, reasoning="high")
    assert "thinking" not in body("anthropic", small, "budget_thinking")
    assert warned("anthropic", small, "budget_thinking")


def test_a_prefilled_answer_goes_elsewhere_where_it_is_refused() -> None:
    prefilled = Request((*ASK.messages, Message("assistant", (Text("Once"),))))
    with pytest.raises(NotHere) as caught:
        body("anthropic", prefilled, "no_prefill")
    assert caught.value.elsewhere
    assert body("anthropic", prefilled)["messages"][-1]["role"] == "assistant"


def test_claude_gets_at_most_four_cache_hints() -> None:
    turns = tuple(Message("user", (Text(f"t{number}", cache_until_here=True),)) for number in range(6))
    system = Message("system", (Text("s", cache_until_here=True),))
    sent = body("anthropic", Request((system, *turns)))
    hints = ["cache_control" in block for turn in sent["messages"] for block in turn["content"]]
    assert hints == [False] * 3 + [True] * 3
    assert "cache_control" in sent["system"][0]


def test_claudes_thinking_goes_back_signed_and_redacted_blocks_too() -> None:
    content = [
        {"type": "thinking", "thinking": "", "signature": "s1"},
        {"type": "redacted_thinking", "data": "r1"},
        {"type": "tool_use", "id": "c", "name": "add", "input": {}},
    ]
    answer = whole("anthropic", {"content": content, "stop_reason": "tool_use"})
    sent = body("anthropic", Request((Message("assistant", (*answer.reasoning, *answer.tool_calls)),)))
    assert sent["messages"][0]["content"] == content


def test_claudes_refusal_carries_its_explanation() -> None:
    told = {"content": [], "stop_reason": "refusal", "stop_details": {"explanation": "No."}}
    assert whole("anthropic", told).refusal == "No."
    assert whole("anthropic", {**told, "stop_details": None}).refusal == "refusal"
    assert whole("anthropic", told).finish_reason == "content_filter"


def test_claudes_input_is_the_sum_of_three() -> None:
    counts = {"input_tokens": 3, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 5}
    usage = whole("anthropic", {"content": [], "stop_reason": "end_turn", "usage": counts}).usage
    assert (usage.input, usage.cached_input, usage.cache_write, usage.output) == (33, 20, 10, 5)


def test_a_claude_stream_without_its_last_usage_is_estimated() -> None:
    fold = load("anthropic").fold(CARD)
    fold.event("", encoded({"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}))
    assert (fold.answer().usage.input, fold.answer().usage.estimated) == (9, True)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (429, {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}, QuotaExhausted),
        (429, {"type": "rate_limit_error", "message": "slow"}, RateLimited),
        (400, {"type": "invalid_request_error", "message": "Your credit balance is too low"}, QuotaExhausted),
        (529, {"type": "overloaded_error"}, Unavailable),
    ],
)
def test_claudes_money_errors_are_told_from_its_rate_limits(status: int, error: Any, kind: type) -> None:
    assert type(load("anthropic").error(status, {}, encoded({"type": "error", "error": error}))) is kind


def test_an_overload_in_a_claude_stream_is_unavailable() -> None:
    fold = load("anthropic").fold(CARD)
    with pytest.raises(Unavailable):
        fold.event("error", encoded({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}))


def quota(quota_id: str, **more: Any) -> dict[str, Any]:
    details = [{"violations": [{"quotaId": quota_id}]}, {"retryDelay": "34.4s"}]
    return {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details, **more}}


def test_geminis_wait_and_kind_of_quota_stand_in_the_body() -> None:
    minute = load("gemini").error(429, {}, encoded(quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")))
    assert (type(minute), minute.after, minute.model_only) == (RateLimited, 34.4, True)
    day = load("gemini").error(429, {}, encoded([quota("GenerateRequestsPerDayPerProject")]))
    assert (type(day), day.model_only) == (QuotaExhausted, False)


def test_geminis_bad_key_is_a_400() -> None:
    error = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}
    assert type(load("gemini").error(400, {}, encoded(error))) is AuthenticationFailed


def test_a_prompt_gemini_blocks_is_an_answer_of_the_filter() -> None:
    answer = whole("gemini", {"promptFeedback": {"blockReason": "OTHER"}, "usageMetadata": {"totalTokenCount": 4}})
    assert (answer.finish_reason, answer.finish_raw) == ("content_filter", "OTHER")
    assert answer.usage.estimated


def test_a_new_way_to_fail_at_gemini_is_no_success() -> None:
    assert whole("gemini", gemini([{"text": "x"}], finishReason="MALFORMED_NOVELTY")).finish_reason == "error"


def test_gemini_3_calls_are_signed_and_those_of_others_excused() -> None:
    turn = Message("assistant", (ToolCall("a", "add", "{}"), ToolCall("b", "add", "{}")))
    results = Message("tool", (ToolResult("a", "1"), ToolResult("b", "no", is_error=True)))
    sent = body("gemini", Request((turn, results)))["contents"]
    assert [part.get("thoughtSignature") for part in sent[0]["parts"]] == ["skip_thought_signature_validator", None]
    assert [part["functionResponse"]["name"] for part in sent[1]["parts"]] == ["add", "add"]
    assert sent[1]["parts"][1]["functionResponse"]["response"] == {"error": "no"}


def test_geminis_thinking_is_a_level_or_a_budget() -> None:
    level = body("gemini", replace(ASK, reasoning="high"))["generationConfig"]["thinkingConfig"]
    assert level == {"includeThoughts": True, "thinkingLevel": "HIGH"}
    bought = body("gemini", replace(ASK, reasoning="high"), "budget_thinking")["generationConfig"]["thinkingConfig"]
    assert bought == {"includeThoughts": True, "thinkingBudget": 4000}
    card = replace(CARD, efforts=("low", "high"))  # 2.5 Pro cannot be turned off
    assert body("gemini", replace(ASK, reasoning="none"), "budget_thinking", card=card)["generationConfig"][
        "thinkingConfig"
    ] == {"includeThoughts": True, "thinkingBudget": 1024}


def test_geminis_schema_goes_into_words_beside_tools() -> None:
    schema = replace(ASK, schema={"type": "object", "title": "Marker"})
    assert "responseJsonSchema" in body("gemini", schema)["generationConfig"]
    assert "Marker" in str(body("gemini", replace(schema, tools=(TOOL,)))["systemInstruction"])


def test_geminis_model_stands_in_the_path_and_is_quoted() -> None:
    call = load("gemini").render(ASK, replace(CARD, id="models/a b?x"), stream=True)
    assert call.path == "/models/a%20b%3Fx:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("window", "letters", "asked"),
    [(4096, 10, 4096), (32_768, 10, 32_768), (131_072, 10, 8192), (131_072, 60_000, 32_768), (131_072, 10**6, 131_072)],
)
def test_ollamas_window_is_always_set_and_grows_in_steps(window: int, letters: int, asked: int) -> None:
    request = Request((Message("user", (Text("a" * letters),)),), max_tokens=100)
    sent = body("ollama", request, card=replace(CARD, context_window=window))
    assert sent["options"]["num_ctx"] == asked


def test_ollama_thinks_by_switch_or_by_level() -> None:
    assert body("ollama", replace(ASK, reasoning="low"))["think"] is True
    assert body("ollama", replace(ASK, reasoning="none"))["think"] is False
    assert body("ollama", replace(ASK, reasoning="low"), "think_levels")["think"] == "low"


def test_ollama_fetches_no_pictures_and_forces_no_tools() -> None:
    with pytest.raises(NotHere):
        body("ollama", Request((Message("user", (Image("image/png", url="https://x/y.png"),)),)))
    assert any("tool_choice" in warning for warning in warned("ollama", FORCED))


def test_ollamas_error_line_ends_the_stream() -> None:
    fold = load("ollama").fold(CARD)
    fold.event("", encoded({"message": {"content": "x"}}))
    with pytest.raises(Unavailable) as caught:
        fold.event("", encoded({"error": "model runner has unexpectedly stopped"}))
    assert caught.value.billed == "yes"


def test_ollamas_calls_without_ids_get_different_ones() -> None:
    calls = [{"function": {"name": "add", "arguments": {"a": number}}} for number in (1, 2)]
    ids = [call.id for call in whole("ollama", {"message": {"tool_calls": calls}, "done": True}).tool_calls]
    assert len(set(ids)) == 2


def test_cohere_bills_its_billed_units_and_takes_nothing_off_for_the_cache() -> None:
    counts = {
        "billed_units": {"input_tokens": 8, "output_tokens": 5},
        "tokens": {"input_tokens": 1394},
        "cached_tokens": 1360,
    }
    fold = load("cohere").fold(CARD)
    fold.event("", encoded(cohere("message-end", {}, finish_reason="COMPLETE", usage=counts)))
    usage = fold.answer().usage
    assert (usage.input, usage.output, usage.cached_input) == (8, 5, 0)


def test_cohere_is_forced_to_one_tool_by_offering_only_that() -> None:
    sent = body("cohere", replace(FORCED, tools=(TOOL, replace(TOOL, name="other"))))
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["add"]
    assert sent["tool_choice"] == "REQUIRED"


def test_coheres_invalid_token_is_a_498() -> None:
    assert type(load("cohere").error(498, {}, encoded({"message": "invalid token"}))) is AuthenticationFailed


def test_coheres_timeout_is_no_answer() -> None:
    fold = load("cohere").fold(CARD)
    fold.event("", encoded(cohere("message-end", {}, finish_reason="TIMEOUT")))
    assert fold.answer().finish_reason == "error"


def test_unsigned_thinking_of_others_is_left_out_at_anthropic() -> None:
    assert body("anthropic", Request((Message("assistant", (Reasoning("hm"), Text("x"))),)))["messages"][0][
        "content"
    ] == [{"type": "text", "text": "x"}]
