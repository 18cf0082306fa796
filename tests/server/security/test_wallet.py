"""Denial of wallet: thousands of dear calls by one caller spend no more than its cap, and others are served meanwhile."""

import time
from pathlib import Path

import anyio
import pytest

from providers.types import Message, Request, Text
from routing.errors import BudgetExceeded, Limited
from routing.fusion.ask import FuseAsk
from routing.store.tokens import Token
from routing.types import Ask
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.security.tokens import digest, fresh

pytestmark = pytest.mark.anyio
CAP = 0.002  # USD


def ask(number: int, caller: str) -> Ask:
    return Ask(Request((Message("user", (Text(f"Is {number} even? yes or no"),)),), max_tokens=16), caller=caller)


@pytest.mark.parametrize("calls", [300, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_fuse_after_fuse_of_one_caller_stays_within_its_cap(tmp_path: Path, calls: int) -> None:
    environment = {"PLENUM_PROVIDERS_AUTO": "false"}
    world = World(environment, tmp_path, Folders(tmp_path / "c", tmp_path / "d"))
    async with opener(world, demo=True)() as app:
        greedy = Token("greedy", digest(fresh()), created=time.time(), daily_usd=CAP)
        assert await app.store.tokens.put(greedy).wait()
        outcomes: dict[str, int] = {"answered": 0, "refused": 0}
        slots = anyio.CapacityLimiter(16)

        async def fuse(number: int) -> None:
            async with slots:
                try:
                    models = ("sim/fast", "sim/smart")
                    await app.fusion.fuse(FuseAsk(ask(number, "greedy"), models=models, answer="choice"))
                    outcomes["answered"] += 1
                except (BudgetExceeded, Limited):
                    outcomes["refused"] += 1

        served = 0
        async with anyio.create_task_group() as tasks:
            for number in range(calls):
                tasks.start_soon(fuse, number)
            for number in range(10):
                result = await app.manager.generate(
                    Ask(ask(number, "modest").request, model="sim/fast", caller="modest")
                )
                served += bool(result.answer.text)
        spent = sum(line.nano for line in await app.store.books.lines(0, 1e12) if line.caller == "greedy") / 1e9
    assert served == 10 and sum(outcomes.values()) == calls
    assert 0 < spent <= CAP and outcomes["answered"] > 0 and outcomes["refused"] > 0
