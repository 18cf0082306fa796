"""The fetched price table in a running server: looked for now and then, not at every answer."""

from datetime import date
from pathlib import Path

from providers.catalog.published import NOTHING, Published
from server import prices


def test_a_refreshed_table_is_in_force_within_a_second_and_gone_as_soon(tmp_path: Path) -> None:
    now = 10.0
    current = prices.kept(tmp_path, lambda: now)
    assert current() is NOTHING
    table = Published(date(2026, 11, 21), {"openai": {"m": (1.0, 2.0, None, None)}})
    prices.keep(tmp_path, table)
    assert current() is NOTHING, "it was looked for a moment ago"
    now += prices.LOOK_S
    assert current() == table
    assert prices.drop(tmp_path)
    assert current() == table
    now += prices.LOOK_S
    assert current() is NOTHING


def test_a_broken_table_is_none(tmp_path: Path) -> None:
    (tmp_path / prices.FILE).write_text("{", "utf-8")
    assert prices.kept(tmp_path)() is NOTHING
