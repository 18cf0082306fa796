"""The keys of the vault as providers ask for them. Nothing is imported or opened where there is no vault."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..config import Config, Loaded
from .redaction import current

if TYPE_CHECKING:
    from .vault import Vault

FILE = "vault.json"
SECRET_HEADER = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Keys:
    """Opened keys by provider and origin. `fault` says why there are none, where that is not by choice."""

    known: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str], repr=False)
    fault: str = ""

    def __call__(self, provider: str, origin: str) -> str | None:
        """The key of this provider, for this origin only."""
        return self.known.get((provider, origin))


def vault(loaded: Loaded) -> "Vault":
    """The vault of this world."""
    from .locks import Locksmith, system_ring
    from .vault import Vault

    data = loaded.folders.data
    return Vault(data / FILE, Locksmith(data, loaded.environment, system_ring, loaded.config.security.kms))


def opened(loaded: Loaded, earlier: Keys | None = None) -> Keys:
    """Every usable key. Blocks (keyring, key derivation, KMS). A vault that does not open is a fault told, not raised;

    what was opened `earlier` stays usable then.
    """
    current().learn(_in_clear(loaded.config))
    if not (loaded.folders.data / FILE).exists():
        return Keys()
    from .faults import VaultFault

    try:
        known = vault(loaded).open()
    except VaultFault as fault:
        return Keys(earlier.known if earlier else {}, str(fault))
    current().learn(known.values())
    return Keys(known)


def refused(loaded: Loaded, provider: str, origin: str, key: str) -> bool:
    """A provider said no to `key`: whether the vault has an earlier one, within its grace, to go on with. Blocks."""
    from .faults import VaultFault

    try:
        safe = vault(loaded)
        return safe.open().get((provider, origin)) == key and safe.refuse(provider, origin)
    except VaultFault:
        return False


def _in_clear(config: Config) -> Iterator[str]:
    """Secrets the configuration itself holds."""
    yield from config.http.tokens
    for table in config.providers.table.values():
        if table.api_key:
            yield table.api_key
        yield from (value for name, value in table.headers.items() if SECRET_HEADER.search(name))
    for url in (config.store.url, config.store.shared):
        if password := urlsplit(url or "").password:
            yield password
