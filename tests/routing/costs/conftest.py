from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from routing.store.sqlite import SqliteStore, sqlite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with sqlite(tmp_path / "plenum.db") as opened:
        yield opened
