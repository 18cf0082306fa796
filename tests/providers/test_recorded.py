"""Real answers of real providers, read by us and, independently and plainly, by this file: both must agree.

The recordings are third-party test input beside the repository, never part of it. Text, tool calls, finish, usage and
error class are compared, at the dialect and again through real HTTP from a local server that sends the recorded bytes.
"""

import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from providers.dialects import load, read_json
from providers.errors import ProviderError, Truncated
from providers.http import Http, HttpProvider, Route
from providers.types import Answer, Message, ModelCard, Request, Text

pytestmark = pytest.mark.anyio

FILE = Path(__file__).parents[2].parent / "shared/data/recorded/exchanges.dev.jsonl.xz"
DIALECTS = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic",
    "gemini-generate": "gemini",
    "ollama-chat": "ollama",
    "cohere-v2": "cohere",
}
# Recordings from which nobody could read an answer, and why. They must end in the error named.
NOT_ANSWERS = {
    "2982621230b9a9b3": ("malformed", "groq: the recorder wrapped a plain text into its own JSON; no choices"),
    "2a676a8ae9e05aac": ("truncated", "snowflake: its streams end with [DONE] and never say why they stopped"),
    "02e145519c75ab68": ("truncated", "snowflake: the same"),
}


@cache
def recordings() -> tuple[dict[str, Any], ...]:
    if not FILE.exists():
        pytest.skip("the recorded exchanges are not on this machine")
    with lzma.open(FILE, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return tuple(row for row in rows if row["wire"] in DIALECTS and row["kind"] == "chat")


# The independent reading: the raw body, the guide's tables, no code of ours.
FINISH = {
    "stop": "stop end_turn stop_sequence complete eos completed",
    "length": "length max_tokens max_output_tokens",
    "tool_calls": "tool_calls function_call tool_use tool_call",
    "content_filter": "content_filter refusal safety recitation prohibited_content blocklist spii",
    "context_length": "model_context_window_exceeded model_length",
    "paused": "pause_turn",
    "error": "error malformed_function_call unexpected_tool_call other",
}
WORDS = {word: normal for normal, words in FINISH.items() for word in words.split()}
CLASSES = {401: "authentication", 403: "authentication", 404: "model_not_found", 429: "rate_limited"}


def plain_error(row: dict[str, Any]) -> str:
    status, text = row["status"], (row.get("response_text") or "").lower()
    if re.search(r"prompt is too long|maximum context length|context_length_exceeded", text):
        return "context_too_long"
    if status == 400 and ("api_key_invalid" in text or "incorrect api key" in text):
        return "authentication"
    if status == 400 and "model_not_found" in text:
        return "model_not_found"
    if status == 429 and ("insufficient_quota" in text or "perday" in text):
        return "quota_exhausted"
    return CLASSES.get(status) or ("unavailable" if status >= 500 else "bad_request")


def objects_of(row: dict[str, Any]) -> list[Any]:
    """The JSON documents of a body: every `data:` line, every line, or the whole."""
    text = row["response_text"]
    if text.lstrip().startswith(("{", "[")):
        try:
            whole = json.loads(text)
            return whole if isinstance(whole, list) else [whole]
        except ValueError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines if line and line != "[DONE]"]


def n(value: Any) -> int:
    return value or 0


def plain(row: dict[str, Any]) -> dict[str, Any] | str:
    if row["status"] != 200:
        return plain_error(row)
    if row["id"] in NOT_ANSWERS:
        return NOT_ANSWERS[row["id"]][0]
    bodies = objects_of(row)
    if any(isinstance(body.get("error"), dict) for body in bodies):
        return "unavailable"
    return PLAIN[row["wire"]](bodies)


def reading(text: str, calls: Any, raw: str, usage: tuple[int, ...] | None, *, refused: bool = False) -> dict[str, Any]:
    finish = "content_filter" if refused else WORDS[raw.lower()]
    calls = [(name, json.loads(arguments) if arguments else None) for name, arguments in calls]
    finish = "tool_calls" if calls and finish == "stop" else finish
    return {"text": text, "calls": calls, "finish": finish, "usage": usage}


def plain_chat(bodies: list[Any]) -> dict[str, Any]:
    text, refusal, raw, usage, calls = "", "", "", None, {}
    for body in bodies:
        usage = body.get("usage") or (body.get("x_groq") or {}).get("usage") or usage
        for choice in [c for c in body.get("choices") or [] if c.get("index", 0) == 0]:
            raw = choice.get("finish_reason") or raw
            part = (
                choice["delta"] if body.get("object", "").endswith(("chunk", "done")) else choice.get("message")
            ) or {}
            content = part.get("content") or ""
            text += content if isinstance(content, str) else "".join(c.get("text", "") for c in content)
            refusal += part.get("refusal") or ""
            for call in part.get("tool_calls") or []:
                call_id = call.get("id") or ""
                key = call.get("index", call_id) if call.get("index") is not None else call_id
                if call_id and key in calls and calls[key][0] not in ("", call_id):
                    key = call_id
                known = calls.setdefault(key, [call_id, "", ""])
                known[1] = known[1] or call["function"].get("name") or ""
                known[2] += call["function"].get("arguments") or ""
            old = part.get("function_call") or {}
            if old.get("name") or (old.get("arguments") and 0 in calls):
                known = calls.setdefault(0, ["", "", ""])
                known[1], known[2] = known[1] or old.get("name") or "", known[2] + (old.get("arguments") or "")
    made = [(name, arguments) for _, name, arguments in calls.values()]
    return reading(text, made, raw or "stop", usage and chat_usage(usage), refused=bool(refusal))


def chat_usage(usage: dict[str, Any]) -> tuple[int, ...]:
    given, made, total = usage["prompt_tokens"], usage.get("completion_tokens", 0), usage.get("total_tokens")
    read, detail = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    thought = n(detail.get("reasoning_tokens"))
    made += thought if thought and total == given + made + thought else 0
    cached = [read.get("cached_tokens"), *(usage.get(k) for k in ("prompt_cache_hit_tokens", "num_cached_tokens"))]
    cached = next((c for c in [*cached, usage.get("cached_tokens")] if c is not None), 0)
    return given, made, min(cached, given), min(thought, made)  # Grok on Azure reports more cached than sent


def plain_responses(bodies: list[Any]) -> dict[str, Any]:
    last = bodies[-1].get("response", bodies[-1])
    messages = [part for item in last["output"] if item["type"] == "message" for part in item["content"]]
    calls = [(item["name"], item["arguments"]) for item in last["output"] if item["type"] == "function_call"]
    raw = (last.get("incomplete_details") or {}).get("reason") or last["status"]
    text = "".join(part.get("text", "") for part in messages if part["type"] == "output_text")
    usage = last.get("usage")
    counted = None
    if usage:
        read, made = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
        cached, thought = n(read.get("cached_tokens")), n(made.get("reasoning_tokens"))
        counted = usage["input_tokens"], usage["output_tokens"], cached, thought
    return reading(text, calls, raw, counted, refused=any(part["type"] == "refusal" for part in messages))


def plain_anthropic(bodies: list[Any]) -> dict[str, Any]:
    text, calls, raw, usage = "", {}, "", {}
    for body in bodies:
        message = body.get("message", body)
        for index, block in enumerate(message.get("content") or []):
            text += block.get("text", "") if block["type"] == "text" else ""
            if block["type"] == "tool_use":
                calls[index] = [block["name"], json.dumps(block["input"])]
        block, delta = body.get("content_block") or {}, body.get("delta") or {}
        if block.get("type") == "tool_use":
            calls[body["index"]] = [block["name"], ""]
        if delta.get("type") == "input_json_delta" and body["index"] in calls:
            calls[body["index"]][1] += delta["partial_json"]
        text += delta.get("text", "") if delta.get("type") == "text_delta" else ""
        raw = delta.get("stop_reason") or message.get("stop_reason") or raw
        usage |= {k: v for k, v in (message.get("usage") or body.get("usage") or {}).items() if v is not None}
    read, written = n(usage.get("cache_read_input_tokens")), n(usage.get("cache_creation_input_tokens"))
    thought = n((usage.get("output_tokens_details") or {}).get("thinking_tokens"))
    made = [(name, arguments or "{}") for name, arguments in calls.values()]
    return reading(text, made, raw, (usage["input_tokens"] + read + written, usage["output_tokens"], read, thought))


def plain_gemini(bodies: list[Any]) -> dict[str, Any]:
    text, calls, raw, usage, blocked = "", [], "", {}, False
    for body in bodies:
        usage = body.get("usageMetadata") or usage
        if (body.get("promptFeedback") or {}).get("blockReason"):
            blocked, raw = True, "stop"
        for candidate in (body.get("candidates") or [])[:1]:
            raw = {1: "STOP"}.get(candidate.get("finishReason"), candidate.get("finishReason")) or raw
            for part in (candidate.get("content") or {}).get("parts") or []:
                text += part.get("text", "") if not part.get("thought") else ""
                if call := part.get("functionCall"):
                    calls.append((call["name"], json.dumps(call.get("args") or {})))
    thought, given = n(usage.get("thoughtsTokenCount")), usage.get("promptTokenCount")
    made, tools = n(usage.get("candidatesTokenCount")) + thought, n(usage.get("toolUsePromptTokenCount"))
    counted = (given + tools, made, n(usage.get("cachedContentTokenCount")), thought) if given is not None else None
    return reading(text, calls, raw, counted, refused=blocked)


def plain_ollama(bodies: list[Any]) -> dict[str, Any]:
    text = "".join(body["message"].get("content") or "" for body in bodies)
    calls = [call["function"] for body in bodies for call in body["message"].get("tool_calls") or []]
    last = bodies[-1]
    counted = (last["prompt_eval_count"], last["eval_count"], 0, 0) if "prompt_eval_count" in last else None
    made = [(call["name"], json.dumps(call["arguments"])) for call in calls]
    return reading(text, made, last.get("done_reason") or "stop", counted)


def plain_cohere(bodies: list[Any]) -> dict[str, Any]:
    text, calls, raw, usage = "", {}, "", {}
    for body in bodies:
        top = body.get("delta", body)
        message = top.get("message") or {}
        content = message.get("content") or []
        text += "".join(part.get("text", "") for part in (content if isinstance(content, list) else [content]))
        found = message.get("tool_calls") or []
        for index, call in enumerate(found if isinstance(found, list) else [found]):
            known = calls.setdefault(body.get("index", index), ["", ""])
            known[0] += call["function"].get("name") or ""
            known[1] += call["function"].get("arguments") or ""
        raw, usage = top.get("finish_reason") or raw, top.get("usage") or usage
    billed, thought = usage["billed_units"], n((usage.get("tokens") or {}).get("reasoning_tokens"))
    return reading(text, calls.values(), raw, (billed["input_tokens"], billed["output_tokens"], 0, thought))


PLAIN = {
    "openai-chat": plain_chat,
    "openai-responses": plain_responses,
    "anthropic-messages": plain_anthropic,
    "gemini-generate": plain_gemini,
    "ollama-chat": plain_ollama,
    "cohere-v2": plain_cohere,
}


def ours(answer: Answer) -> dict[str, Any]:
    calls = [(call.name, json.loads(call.arguments) if call.arguments else None) for call in answer.tool_calls]
    usage = answer.usage
    counted = (usage.input, usage.output, usage.cached_input, usage.reasoning) if answer.usage_seen else None
    return {"text": answer.text, "calls": calls, "finish": answer.finish_reason, "usage": counted}


def split(row: dict[str, Any], raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The events of a body, cut the simplest way."""
    for block in re.split(rb"\r?\n\r?\n", raw):
        lines = re.split(rb"\r?\n", block)
        data = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        names = [line[6:].strip().decode() for line in lines if line.startswith(b"event:")]
        if data:
            yield (names[-1] if names else ""), b"\n".join(data)


def read_directly(row: dict[str, Any]) -> dict[str, Any] | str:
    dialect, raw = load(DIALECTS[row["wire"]]), (row["response_text"] or "").encode()
    fold = dialect.fold(ModelCard(id=row["model"] or "?"))
    try:
        if row["status"] != 200:
            raise dialect.error(row["status"], {k.lower(): v for k, v in row["response_headers"].items()}, raw)
        if not row["streaming"] and not raw.lstrip().startswith((b"{", b"[")):
            raise AssertionError("a whole answer that is no JSON")
        if row["streaming"]:
            for name, data in split(row, raw):
                fold.event(name, data)
                if fold.done:
                    break
        elif dialect.framing == "ndjson" and raw.strip().count(b"\n{"):
            for line in raw.splitlines():
                fold.event("", line)
        else:
            fold.whole(read_json(raw))
        if fold.answer().finish_reason is None:
            raise Truncated("")
    except ProviderError as error:
        return error.kind
    return ours(fold.answer())


def report(rows: list[dict[str, Any]], got: list[Any]) -> list[str]:
    """Print parsed/total per dialect and provider; return what differs."""
    total, parsed, wrong = Counter[str](), Counter[str](), []
    for row, found in zip(rows, got, strict=True):
        key, expected = f"{DIALECTS[row['wire']]} {row['provider']}", plain(row)
        total[key] += 1
        parsed[key] += found == expected
        if found != expected:
            wrong.append(f"{row['id']} {key}\n  expected {expected}\n  got      {found}")
    for key in sorted(total):
        print(f"{key}: {parsed[key]}/{total[key]}")
    for row_id, (kind, why) in NOT_ANSWERS.items():
        print(f"{row_id} is no answer ({kind}): {why}")
    print(f"all: {sum(parsed.values())}/{sum(total.values())}")
    return wrong


def test_every_recorded_exchange_is_read_as_its_raw_body_says() -> None:
    rows = list(recordings())
    wrong = report(rows, [read_directly(row) for row in rows])
    assert not wrong, "\n".join(wrong)


def replayed(row: dict[str, Any]) -> bytes:
    """The recorded answer as HTTP bytes. Recordings without a content type get the usual one of their kind."""
    body = (row["response_text"] or "").encode()
    media = row["content_type"]
    if media in ("", "application/octet-stream"):
        lines = DIALECTS[row["wire"]] == "ollama" and body.strip().count(b"\n{")
        media = "text/event-stream" if row["streaming"] else "application/x-ndjson" if lines else "application/json"
    kept = [f"{k}: {v}" for k, v in row["response_headers"].items() if k.lower() in ("retry-after", "retry-after-ms")]
    head = [f"HTTP/1.1 {row['status']} X", f"content-type: {media}", f"content-length: {len(body)}", *kept, "", ""]
    return "\r\n".join(head).encode() + body


class Replayer:
    """An HTTP server that sends the recording whose number stands first in the path, in pieces of an odd size."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    async def __call__(self, stream: SocketStream) -> None:
        async with stream:
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    try:
                        buffer += await stream.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        return
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head.lower() + b"\r\ncontent-length: 0")[1])
                while len(buffer) < length:
                    buffer += await stream.receive()
                buffer = buffer[length:]
                answer = replayed(self.rows[int(head.split(b"/")[1])])
                try:
                    for start in range(0, len(answer), 4093):
                        await stream.send(answer[start : start + 4093])
                except anyio.BrokenResourceError:
                    return


async def test_every_recorded_exchange_is_read_the_same_through_real_http() -> None:
    rows = list(recordings())
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    got: list[Any] = []
    async with anyio.create_task_group() as tasks, Http() as http:
        tasks.start_soon(listener.serve, Replayer(rows))
        for number, row in enumerate(rows):
            got.append(await ask(http, row, f"http://127.0.0.1:{port}/{number}"))
        tasks.cancel_scope.cancel()
    await listener.aclose()
    wrong = report(rows, got)
    assert not wrong, "\n".join(wrong)


async def ask(http: Http, row: dict[str, Any], url: str) -> dict[str, Any] | str:
    streaming = frozenset({"streaming"} if row["streaming"] else ())
    provider = HttpProvider(
        http,
        load(DIALECTS[row["wire"]]),
        Route(url),
        card=lambda model: ModelCard(id=model, capabilities=streaming),
    )
    request = Request((Message("user", (Text("Go."),)),), max_tokens=100)
    try:
        async with provider.open(request, row["model"] or "m") as stream:
            async for _ in stream:
                pass
            return ours(stream.answer)
    except ProviderError as error:
        return error.kind


SIDE = {
    "count_tokens": {"anthropic": "anthropic", "openai": "openai_responses", "gemini": "gemini", "cohere": "cohere"},
    "embeddings": {"openai": "openai_chat", "azure": "openai_chat", "mistral": "openai_chat"}
    | {"gemini": "gemini", "cohere": "cohere"},
    "models": {"openrouter": "openai_chat", "cerebras": "openai_chat", "gemini": "gemini"},
}


def side_rows() -> list[tuple[dict[str, Any], Any]]:
    recordings()
    with lzma.open(FILE, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        (row, load(SIDE[row["kind"]][row["provider"]])) for row in rows if row["provider"] in SIDE.get(row["kind"], {})
    ]


def test_recorded_counts_lists_and_embeddings_are_read_and_their_errors_classed() -> None:
    seen = Counter[str]()
    for row, dialect in side_rows():
        raw = row["response_text"].encode()
        seen[row["kind"]] += 1
        if row["status"] != 200:
            assert dialect.error(row["status"], {}, raw).kind == plain_error(row), row["id"]
            continue
        body = json.loads(raw)
        match row["kind"]:
            case "count_tokens":
                expected = body.get("input_tokens") or body.get("totalTokens") or len(body.get("tokens", ()))
                assert dialect.parse_count(body) == expected
            case "embeddings":
                rows = body.get("data") or body["embeddings"]
                vectors = dialect.parse_embed(body).vectors
                assert len(vectors) == len(rows["float"] if isinstance(rows, dict) else rows)
                assert all(len(vector) > 100 for vector in vectors)
            case "models":
                listed, _ = dialect.parse_list(body)
                assert len(listed) == len(body.get("data") or body["models"])
    assert all(seen[kind] for kind in SIDE), seen
    print(dict(seen))


def test_openrouters_list_gives_prices_per_million_and_abilities() -> None:
    row, dialect = next((r, d) for r, d in side_rows() if r["kind"] == "models" and r["provider"] == "openrouter")
    raw = json.loads(row["response_text"])["data"]
    listed, _ = dialect.parse_list({"data": raw})
    sonnet = next(model for model in listed if model.id == "anthropic/claude-sonnet-4")
    assert (sonnet.input_price, sonnet.output_price, sonnet.context_window) == (3.0, 15.0, 1_000_000)
    assert sonnet.capabilities is not None
    assert {"tools", "vision", "streaming"} <= sonnet.capabilities
