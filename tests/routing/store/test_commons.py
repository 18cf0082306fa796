"""What processes of one store share: holds, and requests per day. The same for the file and for a server."""

from datetime import UTC, datetime

import pytest

from routing.cooldowns import Notice
from routing.store.sqlite import sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
def another(tmp_path):
    return lambda: sqlite(tmp_path / "plenum.db")


async def test_a_hold_learnt_by_one_process_is_known_to_the_other_until_it_ends(another):
    async with another() as one, another() as two:
        await one.board.exchange("1", [Notice("openai|k", "quota exhausted", 900.0, trial=True)], {})
        (heard,) = (await two.board.exchange("2", [], {})).notices
        assert (heard.name, heard.reason, heard.trial) == ("openai|k", "quota exhausted", True)
        assert 899 < heard.left_s <= 900
        await one.board.exchange("1", [Notice("openai|k", "quota exhausted", 0.0)], {})
        assert (await two.board.exchange("2", [], {})).notices == ()


async def test_requests_per_day_survive_a_restart_and_are_counted_together(another):
    async with another() as one, another() as two:
        for days in (one.days, one.days, two.days):
            days.count("e")
        await two.days.refresh()
        await one.days.refresh()
        await two.days.refresh()
        assert one.days.used("e")[0] == two.days.used("e")[0] == 3
    async with another() as later:
        await later.days.refresh()
        assert later.days.used("e")[0] == 3


async def test_a_new_day_begins_at_nothing(another):
    today = [datetime(2026, 11, 21, 23, 59, tzinfo=UTC)]
    async with another() as store:
        days = type(store.days)(store.writer, now=lambda zone: today[0])
        days.count("e")
        assert days.used("e") == (1, 60.0)
        today[0] = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
        assert days.used("e")[0] == 0
        days.count("e")
        await days.refresh()
        assert days.used("e")[0] == 1
