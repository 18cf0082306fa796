"""An answer that was paid for and not fetched is given to who asks the same again, in another process too; then no more."""

import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client

sys.path.insert(0, str(Path(__file__).parent))

from household import opener_of, small_app

from server import callers
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House

pytestmark = pytest.mark.anyio
QUESTION = {"prompt": "What is 6*7?", "model": "sim/fast", "options": {"cache": "off"}}


def house(home: Path) -> House:
    world = World({"PLENUM_PROVIDERS_AUTO": "false"}, home, Folders(home / "c", home / "d"))
    return House(opener(world, demo=True))


def client(house: House) -> Client:
    return Client(face(house), read_timeout_seconds=30)


async def settled(house: House, handle: str) -> None:
    with anyio.fail_after(30):
        while not (job := house.jobs.find("mcp", handle)) or not job.done:
            await anyio.sleep(0.01)
    await written(house)


async def written(house: House) -> None:
    """Notes of delivery are written a moment later, or with the next write: here."""
    await (await house.app()).store.ledger.reclaim().wait()


def receipt(result) -> dict:
    return result.meta["plenum/receipt"]


async def test_what_nobody_fetched_is_replayed_by_another_process_and_what_was_fetched_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house(tmp_path), house(tmp_path)
    async with client(first) as one, client(second) as two:
        monkeypatch.setattr(callers, "SHORT_S", 0.0)
        left = receipt(await one.call_tool("generate", QUESTION))
        assert left["finish_reason"] == "running"
        await settled(first, left["id"])
        monkeypatch.setattr(callers, "SHORT_S", 30.0)
        again = receipt(await two.call_tool("generate", QUESTION))
        assert (again["id"], again["cached"], again["cost_usd"]) == (left["id"], "replayed", 0.0)
        await written(second)
        anew = receipt(await two.call_tool("generate", QUESTION))
        assert (anew["cached"], anew["id"] != left["id"]) == ("no", True)


async def test_what_is_fetched_by_its_handle_is_bought_anew_by_the_next_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = house(tmp_path)
    async with client(first) as one:
        monkeypatch.setattr(callers, "SHORT_S", 0.0)
        left = receipt(await one.call_tool("generate", QUESTION))
        await settled(first, left["id"])
        fetched = receipt(await one.call_tool("generate", {"request_id": left["id"]}))
        assert (fetched["id"], fetched["finish_reason"]) == (left["id"], "stop")
        await written(first)
        monkeypatch.setattr(callers, "SHORT_S", 30.0)
        anew = receipt(await one.call_tool("generate", QUESTION))
        assert (anew["cached"], anew["id"] != left["id"]) == ("no", True)


async def test_a_call_that_was_answered_at_once_says_nothing_of_delivery() -> None:
    app = small_app()
    async with client(House(opener_of(app))) as session:
        await session.call_tool("generate", QUESTION)
    assert app.journal.delivered == []
