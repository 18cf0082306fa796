"""Which providers exist here: rows of the catalogue overlaid by configuration and key variables. Pure but for mappings.

A seat is a provider as configured; `server/roster.py` makes deployments of it. Nothing is connected here.
"""

import hashlib
import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from providers.catalog import ProviderRow, canonical, row, rows

from .config import Config, ConfigFault, Finding
from .config.environment import clean
from .config.models import ProviderTable
from .security.carried import carried

Vault = Callable[[str, str], str | None]  # provider name and origin → key


def no_vault(provider: str, origin: str) -> str | None:
    """The vault of those who have none."""
    del provider, origin


@dataclass(frozen=True, slots=True)
class Seat:
    """A provider as configured here. `key` is asked at every call (keys rotate) and None where none is set."""

    name: str
    table: ProviderTable
    row: ProviderRow | None
    dialect: str
    base_url: str
    key: Callable[[], str | None]
    local: bool

    @property
    def region(self) -> str:
        """Where requests go: the user's word, else the catalogue's."""
        return self.table.region or ("local" if self.local else self.row.region if self.row else "")

    @property
    def zone(self) -> str:
        """ISO alpha-3 of the electricity mix, `WOR` where nobody said."""
        return self.table.zone or (self.row.zone if self.row else "WOR")

    @property
    def needs_key(self) -> bool:
        """Whether calls without a key are pointless."""
        return not self.local and (self.row is not None or self.table.api_key_env is not None)

    @property
    def endpoint(self) -> str:
        """Provider × credential × URL: the unit of limits and breakers. The key is there as a short fingerprint only."""
        key = self.key()
        print_ = hashlib.blake2s(key.encode(), digest_size=4).hexdigest() if key else "-"
        return f"{self.name}|{print_}|{origin(self.base_url)}"


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def seats(config: Config, environment: Mapping[str, str], vault: Vault = no_vault) -> tuple[Seat, ...]:
    """Every provider that is configured, or found by its key variable. Raises ConfigFault."""
    found: list[Seat] = []
    faults: list[Finding] = []
    for name, table in _tables(config, environment, vault):
        if not table.enabled or table.dialect in ("hybrid", "sim"):
            continue
        try:
            found.append(_seat(name, table, environment, vault))
        except ValueError as fault:
            faults.append(Finding("plenum.toml", f"providers.{name}", 0, str(fault)))
    if faults:
        raise ConfigFault(tuple(faults))
    return tuple(found)


def _tables(config: Config, environment: Mapping[str, str], vault: Vault) -> Iterator[tuple[str, ProviderTable]]:
    named = {
        canonical(name) if table.dialect is None else name: table for name, table in config.providers.table.items()
    }
    yield from named.items()
    if not config.providers.auto:
        return
    for known in rows().values():
        if known.name in named or known.local:
            continue
        base = _endpoint(known, environment) or known.base_url
        if base and (_from(environment, known.keys) or vault(known.name, origin(base))):
            yield known.name, ProviderTable()


def _seat(name: str, table: ProviderTable, environment: Mapping[str, str], vault: Vault) -> Seat:
    known = row(name)
    dialect = table.dialect or (known.dialect if known else None)
    if dialect is None:
        raise ValueError(f"is no provider Plenum knows, so it must say its dialect ({', '.join(_dialects())})")
    if dialect not in (*_dialects(), "local"):
        raise ValueError(f"there is no dialect {dialect!r}; there are {', '.join(_dialects())}")
    base = _base(table, known, environment)
    if not base and dialect != "local":
        raise ValueError("needs a base_url")
    loopback = _loopback(base)
    seat = Seat(name, table, known, dialect, base, _key(name, table, known, (environment, vault, base)), loopback)
    if base.startswith("http://") and not loopback and not table.allow_http and seat.key():
        raise ValueError("would send its key unencrypted: use https, or set allow_http = true if you mean it")
    return seat


def _base(table: ProviderTable, known: ProviderRow | None, environment: Mapping[str, str]) -> str:
    return table.base_url or _endpoint(known, environment) or (known.base_url if known else "")


def address(name: str, config: Config, environment: Mapping[str, str]) -> str | None:
    """The origin keys of this provider may be sent to, None where nobody knows its URL."""
    tables = config.providers.table
    found = next((t for said, t in tables.items() if canonical(said) == name or said == name), ProviderTable())
    base = _base(found, row(name), environment)
    return origin(base) if base else None


def _dialects() -> tuple[str, ...]:
    from providers.dialects import names

    return names()


def _endpoint(known: ProviderRow | None, environment: Mapping[str, str]) -> str:
    """Azure's resource as its users know it, with the path of its v1 API where they left that out."""
    found = _from(environment, known.endpoint) if known else None
    if not found:
        return ""
    return found.rstrip("/") if "/openai/" in found else f"{found.rstrip('/')}/openai/v1"


def _key(
    name: str, table: ProviderTable, known: ProviderRow | None, places: tuple[Mapping[str, str], Vault, str]
) -> Callable[[], str | None]:
    """Where a key comes from: the table, the variable it names, the well-known variable, the vault – at every call."""
    environment, vault, base = places
    variables = (table.api_key_env,) if table.api_key_env else known.keys if known else ()

    def _now() -> str | None:
        return (
            carried.get().get(name)
            or clean(table.api_key)
            or _from(environment, variables)
            or vault(name, origin(base))
        )

    return _now


def _from(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := clean(environment.get(name)))), None)


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or "localhost"
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
