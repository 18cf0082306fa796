"""Local engines on loopback: who answers there, and with which models. Bounded, parallel, silent when nobody does."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import anyio

from providers.catalog import ProviderRow, rows
from providers.errors import ProviderError
from providers.types import Listed, Lister

from .config.models import ProviderTable
from .roster import Roster, Wires
from .seats import Seat

CONNECT_S = 0.25  # loopback refuses at once or accepts at once
LIST_S = 2.0


async def engines(wires: Wires, taken: frozenset[str]) -> Sequence[Roster]:
    """A roster for each local engine that runs here and is not configured already, with the models it lists."""
    found: dict[str, Roster] = {}

    async def _look(known: ProviderRow) -> None:
        for port in known.ports:
            if await _listens(port) and (roster := await _listing(known, port, wires)):
                found[known.name] = roster
                return

    async with anyio.create_task_group() as group:
        for known in rows().values():
            if known.local and known.name not in taken:
                group.start_soon(_look, known)
    return [found[name] for name in sorted(found)]


async def _listens(port: int) -> bool:
    with anyio.move_on_after(CONNECT_S):
        try:
            stream = await anyio.connect_tcp("127.0.0.1", port)
        except OSError:
            return False
        await stream.aclose()
        return True
    return False


async def _listing(known: ProviderRow, port: int, wires: Wires) -> Roster | None:
    base = urlsplit(known.base_url)._replace(netloc=f"127.0.0.1:{port}").geturl()
    seat = Seat(known.name, ProviderTable(), known, known.dialect, base, lambda: None, local=True)
    listed = await live_list(Roster(seat, wires), LIST_S)
    return Roster(seat, wires, listed) if listed else None


async def live_list(roster: Roster, limit_s: float) -> Sequence[Listed]:
    """What the provider itself lists within `limit_s` seconds; nothing when it cannot say."""
    if not isinstance(roster.opener, Lister):
        return ()
    with anyio.move_on_after(limit_s):
        try:
            return await roster.opener.models()
        except ProviderError:
            return ()
    return ()
