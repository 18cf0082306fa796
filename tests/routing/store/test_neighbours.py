"""What a user's processes share through their file: holds, requests per day, and who is at work."""

import os
from pathlib import Path

import pytest

from routing.cooldowns import Notice
from routing.limits import Limiter, Limits
from routing.store.sqlite import sqlite

pytestmark = pytest.mark.anyio


async def test_what_is_no_news_is_not_written_again(tmp_path: Path):
    async with sqlite(tmp_path / "p.db") as one:
        for left in (900.0, 899.9, 899.8):
            await one.board.exchange("1", [Notice("openai|k", "rate limited", left)], {})
        changes = await one.writer.submit(lambda db: db.execute("SELECT total_changes()").fetchone()).wait()
        written = changes[0]
        await one.board.exchange("1", [Notice("openai|k", "rate limited", 899.7)], {})
        again = await one.writer.submit(lambda db: db.execute("SELECT total_changes()").fetchone()).wait()
        assert again[0] == written


async def test_only_processes_that_live_and_work_count_as_sharers(tmp_path: Path):
    async with sqlite(tmp_path / "p.db") as one, sqlite(tmp_path / "p.db") as two:
        assert (await one.board.exchange("1", [], {})).replicas == 1
        two.owner.touch()
        assert (await one.board.exchange("1", [], {})).replicas == 2
        os.utime(tmp_path / "p.db.owners" / two.owner.id, (1, 1))
        assert (await one.board.exchange("1", [], {})).replicas == 1
    (tmp_path / "p.db.owners/dead").touch()
    async with sqlite(tmp_path / "p.db") as three:
        assert (await three.board.exchange("3", [], {})).replicas == 1


def test_limits_are_divided_among_sharers_and_days_are_not():
    limiter = Limiter({"e": Limits(rpm=60, rpd=100, concurrency=4)})
    limiter.among(2)
    limits = limiter._line("e").limits
    assert (limits.rpm, limits.rpd, limits.concurrency) == (30, 100, 2)
    limiter.among(1)
    assert limiter._line("e").limits == Limits(rpm=60, rpd=100, concurrency=4)
