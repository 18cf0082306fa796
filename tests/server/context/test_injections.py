"""Fifty attempts change nothing: not routing, budgets or providers, not other sources, not the system prompt's words."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from providers.types import Message, Text
from routing.manager import ProviderManager
from routing.prepared import Prepared
from routing.types import Ask, Receipt
from server.context.documents import document
from server.context.fence import SENTENCE
from server.context.service import Contexts
from tests.doubles import Listed, ask, sim
from tests.server.context.injections import ALL, FLAGGED, QUIET
from tests.server.context.place import configured, odd, opened, reads

pytestmark = pytest.mark.anyio
GOOD = "The osprey nests in June."
ASKED = ask("What do the notes say?", sources=("evil", "good"), request={"system": "Be brief."}, max_cost_usd=0.5)
MARKS = re.compile(r"<<<(DATA|END) ([0-9a-f]{16})")


@asynccontextmanager
async def house(folder: Path, text: Path, more: str = "") -> AsyncGenerator[Contexts]:
    text.write_text("x")
    servers = {"evil": odd(folder, "as_written"), "good": odd(folder, "healthy", GOOD)}
    toml = reads("evil", timeout_s=10, more=f"ttl_s = 0.000001\n{more}") + "\n" + reads("good", timeout_s=10)
    async with opened(configured(folder, servers, toml)) as sources:
        yield sources


def write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="surrogatepass")


def test_there_are_fifty() -> None:
    assert len(ALL) == 50 == len(FLAGGED) + len(QUIET)


async def test_none_changes_what_is_asked_of_whom_with_what_money(tmp_path: Path) -> None:
    text = tmp_path / "as_written.pids.text"
    deployments = sim("alpha"), sim("beta", priority=1)
    async with house(tmp_path, text) as sources:
        manager = ProviderManager(Listed(deployments), recall=Prepared([sources.add]), foresee=sources.foresee)
        control = None
        for name, attempt in {"control": "A harmless note on herons.", **ALL}.items():
            write(text, attempt)
            told = await sources.add(ASKED)
            _nothing_but_material(name, told)
            result = await manager.generate(ASKED)
            seen = _decided(result.receipt)
            control = control or seen
            assert seen == control, name


def _nothing_but_material(name: str, told: Ask) -> None:
    material, question = told.request.messages
    assert question is ASKED.request.messages[0], name
    assert told.request.system == f"Be brief.\n\n{SENTENCE}", name
    assert replace(told.request, messages=(), system="") == replace(ASKED.request, messages=(), system=""), name
    assert replace(told, request=ASKED.request, context=()) == ASKED, name
    evil, good = told.context
    assert (evil.server, good.server) == ("evil", "good") and not good.warnings, name
    whole = material.text
    assert material.role == "user" and whole.count(GOOD) == 1, name
    kinds = [kind for kind, _ in MARKS.findall(whole)]
    assert kinds == ["DATA", "END"] * (len(kinds) // 2) and len(kinds) == 4, name
    assert len({number for _, number in MARKS.findall(whole)}) == 2, name
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", whole), name
    assert not re.search("[\U000e0000-\U000e007f]", whole), name
    assert good.tokens < 100 and evil.tokens <= 2000, name


def _decided(receipt: Receipt) -> tuple[object, ...]:
    tried = [(a.provider, a.model, a.outcome) for a in receipt.attempts]
    return receipt.provider, receipt.model, receipt.strategy, receipt.reasoning, receipt.excluded_count, tried


@pytest.mark.parametrize("name", FLAGGED)
def test_what_looks_like_an_instruction_is_flagged(name: str) -> None:
    assert document("evil", "tool:read", f"Some notes.\n{FLAGGED[name]}\nMore notes.").flags


ORDINARY = (
    "The user clicks Save; the system then stores the file. You can change the model in Settings.",
    "def run(self):\n    # ignore errors of the previous pass\n    return self.tool(x)",
    "Meeting notes: budget approved, provider chosen, system prompt reviewed by legal.",
    "# Installation\nRun `make install`, then open the dashboard. Ignore warnings about missing fonts.",
    "Assistant professor Ms Lee directs the new programme; all instructions are in the handbook.",
)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_prose_and_code_are_not_flagged(text: str) -> None:
    assert document("docs", "file", text).flags == ()


async def test_flagged_text_is_told_and_under_quarantine_left_out(tmp_path: Path) -> None:
    text = tmp_path / "as_written.pids.text"
    async with house(tmp_path, text) as sources:
        write(text, FLAGGED["plain"])
        evil = (await sources.add(ASKED)).context[0]
        assert evil.resources and evil.warnings == ("tool:read: asks to drop instructions; treated as data",)
    async with house(tmp_path, text, 'trust = "quarantine"') as sources:
        write(text, FLAGGED["plain"])
        told = await sources.add(ASKED)
        assert "PWNED" not in repr(told.request) and GOOD in repr(told.request)
        assert told.context[0].resources == () and told.context[0].warnings[0].endswith("left out")


async def test_material_is_no_part_of_a_conversations_memory(tmp_path: Path) -> None:
    text = tmp_path / "as_written.pids.text"
    turns = (Message("user", (Text("a"),)), Message("assistant", (Text("b"),)), *ASKED.request.messages)
    later = replace(ASKED, request=replace(ASKED.request, messages=turns), history=2)
    async with house(tmp_path, text) as sources:
        write(text, FLAGGED["turns"])
        told = await sources.add(later)
    assert told.request.messages[:2] == turns[:2] and told.request.messages[-1] is turns[-1] and told.history == 2
