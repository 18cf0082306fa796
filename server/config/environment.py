"""The environment as configuration: overrides, references, and key variables. Reads mappings, never `os.environ` itself."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel

from .errors import Finding
from .models import Config

_REFERENCE = re.compile(r"^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))$")
# Not sections: variables with a meaning of their own.
_OWN = ("PLENUM_CONFIG", "PLENUM_TOKEN", "PLENUM_PASSPHRASE", "PLENUM_DEPTH", "PLENUM_LOG", "PLENUM_HOME")


def clean(value: str | None) -> str | None:
    """None for what hosts pass when nothing was set: an empty text, or an unexpanded `$NAME` or `${NAME}`."""
    if value is None or not value.strip() or _REFERENCE.match(value.strip()):
        return None
    return value.strip()


def expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """`value` with texts that are exactly a reference replaced; unset ones vanish from tables and lists."""
    if isinstance(value, str):
        found = _REFERENCE.match(value)
        return clean(environment.get(found[1] or found[2])) if found else value
    if isinstance(value, list):
        items = (expanded(item, environment) for item in cast("list[Any]", value))
        return [item for item in items if item is not None]
    if isinstance(value, dict):
        pairs = ((k, expanded(v, environment)) for k, v in cast("dict[str, Any]", value).items())
        return {k: v for k, v in pairs if v is not None}
    return value


def overrides(data: dict[str, Any], environment: Mapping[str, str]) -> list[Finding]:
    """Write every `PLENUM_<SECTION>_<KEY>` into `data`; what names a section but no key of it is a finding."""
    findings: list[Finding] = []
    for name in sorted(environment):
        raw = clean(environment[name])
        if raw is None or not name.startswith("PLENUM_") or name in _OWN:
            continue
        parts = name.removeprefix("PLENUM_").lower()
        section = next((s for s in Config.model_fields if parts == s or parts.startswith(s + "_")), None)
        if section is None or parts == section:
            continue
        key, field = _walk(
            data.get(section), parts.removeprefix(section + "_"), Config.model_fields[section].annotation
        )
        if key is None:
            findings.append(Finding("environment", name, 0, f"[{section}] has no such key"))
        else:
            _write(data, (section, *key), _value(raw, field))
    return findings


def _walk(data: Any, rest: str, model: Any) -> tuple[tuple[str, ...] | None, Any]:
    """The path in a section that `rest` spells, and the annotation found there."""
    names = _names(data, model)
    for name in sorted(names, key=len, reverse=True):
        flat = re.sub(r"[^a-z0-9]", "_", name.lower())
        below = cast("dict[str, Any]", data).get(name) if isinstance(data, dict) else None
        if rest == flat:
            return (name,), names[name]
        if rest.startswith(flat + "_"):
            key, field = _walk(below, rest.removeprefix(flat + "_"), names[name])
            if key is not None:
                return (name, *key), field
    return None, None


def _names(data: Any, model: Any) -> dict[str, Any]:
    """What may stand at this place: the fields of a table, or the names already used in an open mapping."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        if model.__name__ == "ProvidersTable":
            return {"auto": bool, **_used(data, _table_of(model))}
        return {name: field.annotation for name, field in model.model_fields.items()}
    if get_origin(model) is dict:
        return _used(data, get_args(model)[1])
    return {}


def _table_of(model: type[BaseModel]) -> Any:
    return get_args(model.model_fields["table"].annotation)[1]


def _used(data: Any, model: Any) -> dict[str, Any]:
    return dict.fromkeys(cast("dict[str, Any]", data), model) if isinstance(data, dict) else {}


def _value(raw: str, field: Any) -> Any:
    if get_origin(field) is tuple and not raw.startswith("["):
        return [part.strip() for part in raw.split(",") if part.strip()]
    if field is str or (str in get_args(field) and get_origin(field) not in (dict, tuple)):
        return raw
    try:
        return tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        return raw


def _write(data: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        data = data.setdefault(part, {})
    data[key[-1]] = value
