"""What a user's processes share through their file: holds, requests per day, and who is at work."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routing.cooldowns import Notice
from routing.limits import Limiter, Limits
from routing.store.sqlite import sqlite
from routing.store.sqlite.days import SqliteDays

pytestmark = pytest.mark.anyio


async def test_a_hold_learnt_by_one_process_is_known_to_the_other_until_it_ends(tmp_path: Path):
    async with sqlite(tmp_path / "p.db") as one, sqlite(tmp_path / "p.db") as two:
        await one.board.exchange("1", [Notice("openai|k", "quota exhausted", 900.0, trial=True)], {})
        (heard,) = (await two.board.exchange("2", [], {})).notices
        assert (heard.name, heard.reason, heard.trial) == ("openai|k", "quota exhausted", True)
        assert 899 < heard.left_s <= 900
        await one.board.exchange("1", [Notice("openai|k", "quota exhausted", 0.0)], {})
        assert (await two.board.exchange("2", [], {})).notices == ()


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


async def test_requests_per_day_survive_a_restart_and_are_counted_together(tmp_path: Path):
    async with sqlite(tmp_path / "p.db") as one, sqlite(tmp_path / "p.db") as two:
        for days in (one.days, one.days, two.days):
            days.count("e")
        await two.days.refresh()
        await one.days.refresh()
        await two.days.refresh()
        assert one.days.used("e")[0] == two.days.used("e")[0] == 3
    async with sqlite(tmp_path / "p.db") as later:
        await later.days.refresh()
        assert later.days.used("e")[0] == 3


async def test_a_new_day_begins_at_nothing(tmp_path: Path):
    today = [datetime(2026, 11, 21, 23, 59, tzinfo=UTC)]
    async with sqlite(tmp_path / "p.db") as store:
        days = SqliteDays(store.writer, now=lambda zone: today[0])
        days.count("e")
        assert days.used("e") == (1, 60.0)
        today[0] = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
        assert days.used("e")[0] == 0
        days.count("e")
        await days.refresh()
        assert days.used("e")[0] == 1
