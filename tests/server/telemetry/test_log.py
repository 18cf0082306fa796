"""The log: one line per ask, whatever a name holds, and nothing of what was said."""

import json
from datetime import UTC, datetime

import pytest

from providers.types import Usage
from routing.events import Answered, BreakerChanged, BudgetAlert, Decided, Failed, Fused, Progressed, StoreFailed
from routing.types import Attempt, Receipt
from server.telemetry.log import as_json, as_logfmt, form, log

AT = datetime(2026, 11, 21, tzinfo=UTC)
RECEIPT = Receipt(
    "g_1", provider="openai", model="gpt", strategy="balanced", finish_reason="stop", usage=Usage(100, 20),
    cost_usd=0.002, latency_s=1.23456, attempts=(Attempt("openai", "gpt", "ok"),), caller="ci",
    reasoning="SECRET reasoning", warnings=("SECRET warning",),
)  # fmt: skip


def lines(*events, write=as_json):
    out = []
    observer = log(write, out.append, lambda: AT)
    for event in events:
        observer(event)
    return out


def test_an_answer_is_one_line_with_who_what_and_how_much() -> None:
    (line,) = lines(Answered(RECEIPT))
    assert line.endswith("}\n")
    said = json.loads(line)
    assert said == {
        "ts": "2026-11-21T00:00:00.000+00:00", "event": "answered", "id": "g_1", "caller": "ci", "provider": "openai",
        "model": "gpt", "strategy": "balanced", "finish": "stop", "attempts": 1, "input": 100, "output": 20,
        "cost_usd": 0.002, "basis": "priced", "latency_s": 1.235,
    }  # fmt: skip


def test_no_free_text_of_a_receipt_is_logged() -> None:
    told = lines(
        Answered(RECEIPT), Failed("g_1", "timeout", RECEIPT), BreakerChanged("https://key@host", "p", "open", "SECRET"),
        StoreFailed("full", "SECRET"), Progressed("g_1", "SECRET", "SECRET"), Decided("g_1", "cost", ("a/b",), 0, "SECRET"),
    )  # fmt: skip
    assert len(told) == 4
    assert "SECRET" not in "".join(told)
    assert "key@host" not in "".join(told)


@pytest.mark.parametrize("name", ["two\nlines", 'a "quote"', "back\\slash", "k=v", "", "é\x1b[31m", "x" * 5000])
def test_hostile_names_stay_in_their_line(name: str) -> None:
    event = Answered(Receipt("g_1", provider="p", model=name))
    (fmt,), (obj,) = lines(event, write=as_logfmt), lines(event)
    assert fmt.count("\n") == 1
    assert fmt.isascii()
    assert "\x1b" not in fmt
    assert len(fmt) < 1000
    assert json.loads(obj).get("model", "") == name[:200]


def test_fuses_budgets_and_breakers_have_their_lines() -> None:
    said = lines(
        Fused("f_1", "agreed", 1.0, 0.01, 3, 2), BudgetAlert("global", "day", 0.8, 8.0, 10.0),
        BreakerChanged("e", "openai", "open", "why", 5.0), write=as_logfmt,
    )  # fmt: skip
    assert "event=fused id=f_1 status=agreed agreement=1.0 members=3 calls_saved=2 cost_usd=0.01" in said[0]
    assert "event=budget scope=global period=day share=0.8 spent_usd=8.0 limit_usd=10.0" in said[1]
    assert "event=breaker provider=openai state=open for_s=5.0" in said[2]


def test_the_variable_chooses_the_form() -> None:
    assert (form("off"), form("json"), form(""), form("debug")) == (None, as_json, as_logfmt, as_logfmt)
