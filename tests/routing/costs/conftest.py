from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routing.store.sqlite import SqliteStore, sqlite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with sqlite(tmp_path / "plenum.db") as opened:
        yield opened


@pytest.fixture
def another_store(store: SqliteStore):
    """A factory of further stores on the same file."""
    return lambda: sqlite(store.path)
