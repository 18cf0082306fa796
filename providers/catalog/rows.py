"""Who can be called: the rows of `providers.toml`, as frozen values. Facts only; configuration overlays them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, cast

from .snapshot import table


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider as the world knows it.

    `keys` and `endpoint` are environment variables, first set one wins; a `local` engine needs no key. `auth` is the
    header style the dialect is told (`bearer`, `x-api-key`, `api-key`, `x-goog-api-key`). `also` are further dialects
    at the same base. `vendors` says that model ids read `vendor/model`. `models` are offered without being named.
    `ports` and `probe` tell where a local engine answers on loopback; `zone` is ISO alpha-3 of its electricity. `batch` is
    the wire of its batch endpoint (`providers/batches`), empty where it has none.
    """

    name: str
    dialect: str
    base_url: str
    aliases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    auth: str = "bearer"
    flags: frozenset[str] = frozenset()
    local: bool = False
    ports: tuple[int, ...] = ()
    probe: str = ""
    vendors: bool = False
    models: tuple[str, ...] = ()
    region: str = "us"
    zone: str = "WOR"
    batch: str = ""
    docs: str = ""


@cache
def rows() -> Mapping[str, ProviderRow]:
    """Every provider known by name, in the order of the file."""
    return MappingProxyType({name: _row(name, fields) for name, fields in table("providers.toml").items()})


def row(name: str) -> ProviderRow | None:
    """The row of this name or alias (`google` is `gemini`), None where nobody has it."""
    return rows().get(canonical(name))


def canonical(name: str) -> str:
    """A provider's own name for any of its aliases; other names pass unchanged."""
    return _aliases().get(name.lower(), name)


@cache
def _aliases() -> Mapping[str, str]:
    return {alias: found.name for found in rows().values() for alias in (found.name, *found.aliases)}


def _row(name: str, fields: Mapping[str, Any]) -> ProviderRow:
    given: dict[str, Any] = {key: _frozen(value) for key, value in fields.items()}
    given["flags"] = frozenset(given.get("flags", ()))
    if given.get("local"):
        given.setdefault("region", "local")
    return ProviderRow(name=name, **given)


def _frozen(value: Any) -> Any:
    return tuple[Any, ...](cast("list[Any]", value)) if isinstance(value, list) else value
