"""Find, read and merge the configuration: user file, project file within its bounds, environment. All or nothing."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from server.complaints import words

from .environment import clean, expanded, overrides
from .errors import ConfigFault, Finding
from .locate import line_of
from .models import DEFAULT_DAILY_USD, Config

# What a cloned repository may say without being trusted (contract §2): it must not redirect a key or start a program.
LARGEST = 1 << 20  # bytes of one file
PROJECT_MAY = frozenset({"routing", "fusion", "cache", "models"})


@dataclass(frozen=True, slots=True)
class Folders:
    """Where files of this user live."""

    config: Path
    data: Path

    @property
    def trusted(self) -> Path:
        """The hashes of project files the user trusts."""
        return self.data / "trusted.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration in force, where it came from, and what the user should know about it."""

    config: Config
    files: tuple[Path, ...]
    environment: Mapping[str, str]
    folders: Folders
    warnings: tuple[str, ...] = ()
    raw: Mapping[str, Any] | None = None


def find(path: Path | None, environment: Mapping[str, str], folders: Folders) -> Path | None:
    """The user's file: `--config`, else `$PLENUM_CONFIG`, else the user folder's if it is there."""
    if path is not None:
        return path
    if named := clean(environment.get("PLENUM_CONFIG")):
        return Path(named).expanduser()
    default = folders.config / "plenum.toml"
    return default if default.is_file() else None


def load(path: Path | None, environment: Mapping[str, str], folders: Folders, project: Path | None = None) -> Loaded:
    """Read everything. Raises ConfigFault with every finding; reads nothing but the files named."""
    user = find(path, environment, folders)
    texts: dict[Path, str] = {}
    data: dict[str, Any] = {}
    warnings: list[str] = []
    if user is not None:
        texts[user] = text_of(user)
        data = _parse(user, texts[user])
    if project is not None and project.is_file() and (user is None or project.resolve() != user.resolve()):
        texts[project] = text_of(project)
        data = _merged(data, _parse(project, texts[project]), trusted=is_trusted(project, folders), warnings=warnings)
    data = expanded(data, environment)
    findings = overrides(data, environment)
    config = _validated(data, texts, findings)
    return Loaded(config, tuple(texts), environment, folders, tuple(warnings), data)


def digest(file: Path) -> str:
    """What trust is bound to: the content, not the name."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def is_trusted(file: Path, folders: Folders) -> bool:
    """Whether the user has said `plenum config trust` for exactly this content."""
    if not folders.trusted.is_file():
        return False
    try:
        known = json.loads(folders.trusted.read_text("utf-8"))
    except (OSError, ValueError):  # what cannot be read trusts nobody
        return False
    return isinstance(known, dict) and cast("dict[str, Any]", known).get(str(file.resolve())) == digest(file)


def text_of(file: Path) -> str:
    """A configuration file's text, as it is read. Raises ConfigFault."""
    try:
        with file.open("rb") as source:
            content = source.read(LARGEST + 1)
        if len(content) > LARGEST:
            fault = Finding(str(file), "file", 0, f"is larger than {LARGEST >> 20} MiB")
            raise ConfigFault((fault,))
        return content.decode("utf-8-sig").replace("\r\n", "\n")  # editors of Windows begin with a mark
    except OSError as fault:
        raise ConfigFault((Finding(str(file), "file", 0, f"cannot be read ({fault.strerror})"),)) from None
    except UnicodeDecodeError:
        raise ConfigFault((Finding(str(file), "file", 0, "is not UTF-8 text"),)) from None


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        line = getattr(fault, "lineno", None) or _line_in(str(fault))
        raise ConfigFault((Finding(str(file), "toml", line, str(fault).split(" (at")[0]),)) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets without end
        raise ConfigFault((Finding(str(file), "toml", 0, "holds a number or nesting beyond all measure"),)) from None


def _line_in(message: str) -> int:
    digits = message.partition("line ")[2].partition(",")[0]
    return int(digits) if digits.isdigit() else 0


def _merged(user: dict[str, Any], project: dict[str, Any], *, trusted: bool, warnings: list[str]) -> dict[str, Any]:
    if trusted:
        return _deep(user, project)
    allowed = {k: v for k, v in project.items() if k in PROJECT_MAY}
    budget = _lowered(user.get("budget", {}), project.get("budget", {}))
    refused = sorted(k for k in project if k not in PROJECT_MAY and k != "budget")
    if refused:
        names = ", ".join(f"[{name}]" for name in refused)
        warnings.append(f"{names} of this project's plenum.toml is not in force: say `plenum config trust` to allow it")
    return _deep(user, {**allowed, **({"budget": budget} if budget else {})})


def _lowered(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Budgets with a project's in them where those are lower; who has none has the default, which stays beside them."""
    defaults = {} if {"daily_usd", "monthly_usd"} & set(mine) else {"daily_usd": DEFAULT_DAILY_USD}
    limits = {**defaults, **mine}
    wanted = {k: theirs[k] for k in ("daily_usd", "monthly_usd") if isinstance(theirs.get(k), int | float)}
    lower = {k: v for k, v in wanted.items() if v < limits.get(k, float("inf"))}
    return {**defaults, **lower} if lower else {}


def _deep(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _deep(cast("dict[str, Any]", old), cast("dict[str, Any]", value)) if both else value
    return merged


def _validated(data: dict[str, Any], texts: Mapping[Path, str], findings: Sequence[Finding]) -> Config:
    try:
        config = Config.model_validate(data)
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False, include_context=False)
        found = [_finding(dict(error), data, texts) for error in errors]
        raise ConfigFault((*findings, *found)) from None
    if findings:
        raise ConfigFault(tuple(findings))
    return config


def _finding(error: dict[str, Any], data: Any, texts: Mapping[Path, str]) -> Finding:
    key = _key(error["loc"], data)
    unknown = error["type"] == "extra_forbidden"
    message = "is not a key of this table" if unknown else words(error).replace("an object", "a table")
    nearest = _nearest(key) if unknown else ""
    file, line = next(((f, n) for f, text in texts.items() if (n := line_of(text, key))), (None, 0))
    dotted = ".".join(str(part) for part in key)
    return Finding(str(file) if file else "environment", dotted, line, message, nearest)


def _key(loc: Sequence[str | int], data: Any) -> tuple[str | int, ...]:
    """The user's own path: pydantic's, without the tags of unions and our inner `table`."""
    key: list[str | int] = []
    for index, part in enumerate(loc):
        here = isinstance(part, int) if isinstance(data, list) else isinstance(data, dict) and part in data
        if not here and (index + 1 < len(loc) or part in ("value", "table")):
            continue
        key.append(part)
        data = cast("Any", data)[part] if here else None
    return tuple(key)


def _nearest(key: Sequence[str | int]) -> str:
    names = fields_at(key[:-1])
    return next(iter(get_close_matches(str(key[-1]), names, n=1, cutoff=0.5)), "")


def fields_at(key: Sequence[str | int]) -> list[str]:
    """The valid keys of the table at this path of the file."""
    models: list[type[BaseModel]] = [Config]
    for part in key:
        models = [step for model in models for step in _into(model, part)]
    return [name for model in models for name in model.model_fields if name != "table"]


def _into(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    if isinstance(part, int):
        return [model]
    field = model.model_fields.get(part) or model.model_fields.get("table")
    if field is None:
        return [model]
    return _models_in(field.annotation)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
