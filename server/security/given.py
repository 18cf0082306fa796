"""Keys that a person gives on a page: which would help, and where they go."""

from collections.abc import Sequence

from anyio.to_thread import run_sync

from providers.catalog import canonical, rows
from routing.store.audit import Audit

from ..config import Loaded
from ..seats import address
from .evidence import happening
from .faults import VaultFault
from .keys import vault
from .redaction import current


def wanted(loaded: Loaded) -> Sequence[str]:
    """Providers that a key alone would bring: known to the catalogue, with a fixed address."""
    providers = loaded.config.providers
    named = {canonical(name) for name in providers.table}
    known = [
        row.name for row in rows().values() if row.keys and not row.local and (providers.auto or row.name in named)
    ]
    return [name for name in known if address(name, loaded.config, loaded.environment)]


async def keep(loaded: Loaded, audit: Audit, provider: str, key: str) -> None:
    """Store a key that a person gave. Raises ValueError in words for that person."""
    place = address(provider, loaded.config, loaded.environment) or ""
    try:
        entry = await run_sync(vault(loaded).set, provider, place, key)
    except VaultFault as fault:
        raise ValueError(str(fault)) from None
    current().learn([key])
    line = happening("page", "key set", provider, version=entry.version, origin=entry.origin)
    await audit.append(line).wait()
