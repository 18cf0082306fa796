"""Changes a host's file: puts the entry in, takes it out, keeps everything else as it is. Text in, text out, then one write.

JSON with comments is refused rather than rewritten without them; TOML and YAML are edited as text, because a rewrite
would lose the user's own comments.
"""

import json
import os
import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .catalogue import NAME, Host, toml, yaml

BACKUP = ".plenum-backup"


class Unreadable(Exception):
    """The file is not what it should be, or not ours to rewrite; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one file. `before` is None where there was no file."""

    file: Path
    before: str | None
    after: str

    @property
    def needed(self) -> bool:
        """Whether anything would be different."""
        return self.before != self.after

    def write(self) -> None:
        """Put it in place in one step; what was there stays beside it, once."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        backup = self.file.with_name(self.file.name + BACKUP)
        if self.before is not None and not backup.exists():
            _replace(backup, self.before, self.file)
        _replace(self.file, self.after, self.file)


def installed(host: Host, file: Path) -> Change:
    """The change that puts the entry in. Raises Unreadable."""
    before = _read(file)
    text = before or ""
    if host.format == "json":
        return Change(file, before, _json_with(host, text, file))
    if host.format == "toml":
        return Change(file, before, _toml_with(host, text, file))
    return Change(file, before, _yaml_with(host, text))


def removed(host: Host, file: Path) -> Change:
    """The change that takes the entry out. Raises Unreadable."""
    before = _read(file)
    text = before or ""
    if host.format == "json":
        document = _parsed(text, file)
        servers = document.get(host.key)
        if isinstance(servers, dict):
            cast("dict[str, Any]", servers).pop(NAME, None)
        return Change(file, before, _dumped(document, text) if before else text)
    if host.format == "toml":
        return Change(file, before, _without_table(text, host.key))
    return Change(file, before, _without_block(text))


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise Unreadable(f"{file} cannot be read ({type(fault).__name__}).") from None


def _json_with(host: Host, text: str, file: Path) -> str:
    document = _parsed(text, file)
    servers = document.setdefault(host.key, {})
    if not isinstance(servers, dict):
        raise Unreadable(f"{file}: {host.key} is no object. Correct it, or add the entry by hand (--print).")
    cast("dict[str, Any]", servers)[NAME] = dict(host.entry)
    return _dumped(document, text)


def _parsed(text: str, file: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads(text) if text.strip() else {}
    except ValueError:
        raise Unreadable(
            f"{file} is not plain JSON (comments?), and rewriting would lose something. Add the entry by hand: --print."
        ) from None
    if not isinstance(document, dict):
        raise Unreadable(f"{file} holds no JSON object. Add the entry by hand: --print.")
    return cast("dict[str, Any]", document)


def _dumped(document: dict[str, Any], text: str) -> str:
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    indent: int | str = (found[1] if "\t" in found[1] else len(found[1])) if found else 2
    return json.dumps(document, indent=indent, ensure_ascii=False) + "\n"


def _toml_with(host: Host, text: str, file: Path) -> str:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Unreadable(f"{file} is not TOML. Correct it, or add the entry by hand (--print).") from None
    rest = _without_table(text, host.key).rstrip("\n")
    return f"{rest}\n\n{toml(host)}" if rest else toml(host)


def _without_table(text: str, key: str) -> str:
    table = re.compile(rf"^\[{re.escape(key)}\.{NAME}(\.[^\]]*)?\][^\n]*\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)
    rest = re.sub(r"\n{3,}", "\n\n", table.sub("", text)).rstrip("\n")
    return f"{rest}\n" if rest else ""


def _yaml_with(host: Host, text: str) -> str:
    rest = _without_block(text)
    top = re.search(rf"^{host.key}:[ \t]*(\{{\}})?[ \t]*$\n?", rest, re.MULTILINE)
    if top is None:
        return f"{rest.rstrip()}\n{host.key}:\n{yaml(host)}".lstrip("\n")
    return f"{rest[: top.start()]}{host.key}:\n{yaml(host)}{rest[top.end() :]}"


def _without_block(text: str) -> str:
    return re.sub(rf"^  {NAME}:[ \t]*\n(?:    [^\n]*\n?)*", "", text, flags=re.MULTILINE)


def _replace(file: Path, text: str, like: Path) -> None:
    mode = like.stat().st_mode & 0o777 if like.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
