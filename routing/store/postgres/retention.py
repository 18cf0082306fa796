"""Forgetting beside running calls, on a connection of its own: nobody waits for it."""

from ..archive import CLAIM_S
from .archive import FORGET_BEFORE, TRIM
from .driver import Fetch


class PostgresRetention:
    """`Retention` on a server; what counts is what receipts, answers and turns hold."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    async def thin(self, limit: int, before: float, most: int) -> int:
        """All that is too old or too much."""
        del most
        old = await self._fetch(FORGET_BEFORE, before, CLAIM_S)
        much = await self._fetch(TRIM, limit)
        return int(old[0][0]) + int(much[0][0])
