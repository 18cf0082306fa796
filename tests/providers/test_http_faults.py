"""Each of the guide's 77 faults, five more and an unknown path end in one expected class, in time and in bounded memory,
whole and streamed, with the real transport. The table is the specification (guide reliability-and-security §9.3).
"""

import resource
import time

import anyio
import pytest

from providers.dialects import load
from providers.errors import ProviderError
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator import faults
from providers.types import Answer, Message, ModelCard, Request, Text

pytestmark = pytest.mark.anyio

SHORT = Timeouts(idle=0.5, total=2.0)  # for what never ends by itself
LONG = Timeouts(idle=20.0, total=40.0)  # for what does: a busy machine must not make a timeout of it
GROWTH_KIB = 64_000  # ru_maxrss counts KiB on Linux
QUESTION = Request((Message("user", (Text("hi"),)),))

# kind of our error and what the ledger must assume, or what the answer is -> faults
EXPECTED = {
    "ok": "ok stream bom many_1xx json_for_stream sse_no_done sse_dup_done wrong_schema",
    "ok, usage estimated": "nan_usage neg_usage huge_usage str_usage no_usage sse_split_utf8 sse_crlf sse_uni_linesep "
    "sse_no_space sse_multi_data sse_neg_index sse_tool_garbage",
    "ok, scrubbed": "surrogate",
    "ok, no text": "empty_text",
    "refused": "null_content refusal",
    "unavailable, no": "html502 408 500 502 503 529",
    "unavailable, unknown": "reset close_now unknown_path err_in_200",
    "unavailable, yes": "sse_error_mid sse_error_event",
    "rate_limited, no": "429s 429date 429neg 429junk 429huge 429empty",
    "quota_exhausted, no": "402 429quota",
    "authentication, no": "401 403",
    "model_not_found, no": "404",
    "bad_request, no": "413 422",
    "context_too_long, no": "ctx",
    "malformed, no": "redir_host redir_loop redir_meta",
    "malformed, unknown": "html200 empty200 bad_json no_choices null_choices bad_utf8 utf16 gzip_bomb bad_gzip http10 "
    "sse_bad_utf8 sse_as_json_ct sse_not_json echo not_http big_headers huge_body endless sse_huge_line",
    "malformed, yes": "sse_flood",
    "truncated, unknown": "trunc_json",
    "truncated, yes": "sse_trunc sse_trunc_mid sse_no_finish sse_reset",
    "timeout, unknown": "hang hang_after_headers slow_body slow_sse_comments stall_stream",
}
ENDLESS = [*EXPECTED["timeout, unknown"].split(), "sse_flood", "endless", "huge_body"]
CASES = [(name, outcome) for outcome, names in EXPECTED.items() for name in names.split()]
NEUTRAL = "rate_limited quota_exhausted authentication model_not_found bad_request context_too_long".split()
AFTER = {"503": 1, "429s": 1, "429date": 3600, "429huge": 3600}
AGAIN = "unavailable rate_limited".split()


async def ask(base: str, name: str, *, stream: bool, limits: Timeouts = LONG) -> tuple[Answer, ProviderError | None]:
    card = ModelCard("m", capabilities=frozenset({"streaming"} if stream else ()))
    async with Http() as http:
        provider = HttpProvider(
            http,
            load("openai_chat"),
            Route(f"{base}/{name}"),
            card=lambda _: card,
            key=lambda: "sk-canary",
            timeouts=limits,
        )
        answer = Answer()
        try:
            async with provider.open(QUESTION, "m") as answering:
                try:
                    async for _ in answering:
                        pass
                finally:
                    answer = answering.answer
        except ProviderError as error:
            return answer, error
        return answer, None


def described(answer: Answer, error: ProviderError | None) -> str:
    if error is not None:
        return f"{error.kind}, {error.billed}"
    if answer.finish_reason == "content_filter" or answer.refusal:
        return "refused"
    if "\ufffd" in answer.text:
        return "ok, scrubbed"
    if not answer.text and not answer.tool_calls and answer.usage_seen:
        return "ok, no text"
    return "ok" if answer.usage_seen else "ok, usage estimated"


def test_every_fault_has_an_expected_outcome():
    assert sorted(name for name, _ in CASES) == sorted([*faults.NAMES, "unknown_path"])
    assert len(faults.NAMES) == 77 + 5


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("name", "expected"), CASES)
async def test_a_fault_ends_in_its_class_in_time_and_in_bounds(name, expected, stream):
    limits = SHORT if name in ENDLESS else LONG
    faults.bomb(100)  # built before the clock runs
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    async with faults.serve_faults() as base:
        with anyio.fail_after(limits.total + 20):
            answer, error = await ask(base, name, stream=stream, limits=limits)
    found = described(answer, error)
    if name == "sse_reset":
        found = found.replace("unavailable, unknown", "truncated, yes")  # a reset may overtake the head before it
    if name in ("sse_flood", "endless", "huge_body"):  # the deadline or the cap, as the machine's speed will have it
        found = found.replace("timeout, unknown", expected)
    assert found == expected
    assert time.monotonic() - started < limits.total + 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_KIB
    if error is not None:
        assert (error.vote == "neutral") is (error.kind in NEUTRAL)
        assert error.again is (error.kind in AGAIN)
        assert error.after == AFTER.get(name)
        assert "canary" not in repr(error) and "127.0.0.1" not in repr(error) and "overloaded" not in str(error)
        assert error.__cause__ is None


@pytest.mark.parametrize(
    ("name", "text"), [("sse_trunc", "ab"), ("sse_error_mid", "a"), ("stall_stream", "a"), ("sse_not_json", "a")]
)
async def test_a_stream_that_breaks_keeps_its_partial_text(name, text):
    async with faults.serve_faults() as base:
        limits = Timeouts(idle=2.0, total=20.0) if name == "stall_stream" else LONG
        answer, error = await ask(base, name, stream=True, limits=limits)
    assert error is not None and answer.text == text and answer.finish_reason is None


async def test_a_redirect_takes_no_key_elsewhere():
    async with faults.serve_faults() as base:
        _, error = await ask(base, "redir_loop", stream=True)
    assert error is not None and error.kind == "malformed" and error.status == 307
