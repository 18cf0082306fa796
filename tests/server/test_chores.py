"""What is done beside the calls: a server that runs for months keeps to its bounds as one that was started today."""

import os
from pathlib import Path

import anyio
import pytest

from routing.events import Failed
from routing.store.archive import Record
from routing.store.faults import StoreFault
from routing.store.sqlite import sqlite
from routing.types import Receipt
from server.app import opener
from server.chores import EVERY_S, PIECE, PIECES, Chores
from server.config import Config
from server.config.load import Folders
from server.config.models import StoreTable
from server.config.world import World
from server.security.watch import Watch

pytestmark = pytest.mark.anyio
NOW = 1_795_262_400.0


def chores(store, watch=None, clock=lambda: 0.0, **table) -> Chores:
    config = Config(store=StoreTable(**table))
    return Chores(lambda: config, store.retention, watch or Watch(store.audit), clock, lambda: NOW)


async def filled(store, count: int, size: int, *, step_s: float = 60.0) -> None:
    """Records of this size, the newest of now."""
    for number in range(count):
        at = NOW - (count - 1 - number) * step_s
        pending = store.archive.keep(Record(f"r{number}", "ann", at, "k", b"b", os.urandom(size), b"t"))
    await pending.wait()


async def held(store) -> int:
    return len(await store.books.newest(100_000))


async def test_the_oldest_go_while_the_server_runs_until_the_file_is_within_its_cap(tmp_path: Path) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        await filled(store, 300, 20_000)
        await chores(store, max_mb=3)()
        assert 50 < await held(store) < 150  # whole pieces go
        assert await store.archive.read("r299", "ann") is not None and await store.archive.read("r0", "ann") is None


async def test_what_may_yet_be_fetched_stays_however_large_it_is(tmp_path: Path) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        await filled(store, 100, 20_000, step_s=5.9)
        await chores(store, max_mb=1)()
        assert await held(store) == 100


async def test_records_that_grow_too_old_while_the_server_runs_go(tmp_path: Path) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        await filled(store, 10, 10, step_s=43_200)
        await chores(store, keep_days=2)()
        assert await held(store) == 5


async def test_much_goes_piece_by_piece_and_the_rest_a_second_later(tmp_path: Path) -> None:
    now = [0.0]
    async with sqlite(tmp_path / "plenum.db") as store:
        await filled(store, PIECE * PIECES + 50, 10, step_s=7 * 86_400)
        beside = chores(store, clock=lambda: now[0], keep_days=30)
        await beside()
        assert await held(store) == 50
        await beside()
        assert await held(store) == 5
        await filled(store, 50, 10, step_s=7 * 86_400)
        await beside()
        assert await held(store) > 5  # looked at lately
        now[0] += EVERY_S
        await beside()
        assert await held(store) == 10


class Broken:
    """A store in trouble."""

    async def thin(self, *_):
        raise StoreFault("full")


async def test_a_store_in_trouble_ends_nothing(tmp_path: Path) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        beside = chores(store)
        beside.retention = Broken()
        await beside()


async def test_an_open_house_does_its_chores_and_leaves_nothing_uncounted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("server.chores.EVERY_S", 0.0)
    monkeypatch.setattr("server.living.EVERY_S", 0.001)
    world = World({"PLENUM_PROVIDERS_AUTO": "false"}, tmp_path, Folders(tmp_path, tmp_path))
    async with opener(world)() as app:
        old = Record("old", "ann", 1000.0, "k", b"b", b"answer", b"t")
        await app.store.archive.keep(old).wait()
        for number in range(100):
            app.hub(Failed(f"a{number}", "policy", Receipt(f"a{number}", caller="ann")))
        with anyio.fail_after(10):
            while await app.store.archive.read("old", "ann") is not None:
                await anyio.lowlevel.checkpoint()
    async with opener(world)() as app:
        lines = [line.happening for line in await app.store.audit.lines() if line.happening.what == "refused"]
    assert [line.detail.count('"count": 99') for line in lines] == [0, 1]
