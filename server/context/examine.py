"""What a careful look at the configured upstreams finds. Starts nothing and reaches nobody."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from ..config import ConfigFault, Loaded
from .upstreams import Upstream, place, strangers, upstreams

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Remark:
    """One finding about the upstreams; `fix` is the next thing to do."""

    level: Literal["ok", "note", "warning"]
    message: str
    fix: str = ""


def examined(loaded: Loaded) -> Iterator[Remark]:
    """Every remark, in the order of the file."""
    try:
        known = upstreams(loaded)
    except ConfigFault as fault:
        yield from (Remark("warning", str(finding), "Mend this entry.") for finding in fault.findings)
        return
    if loaded.config.context.file is not None and not place(loaded).is_file():
        yield Remark("warning", "[context] file names no file", "plenum context add NAME -- COMMAND ARGUMENTS")
    for upstream in known:
        yield from _one(upstream)
    for name in strangers(loaded.config, known):
        said = f"[context.server.{name}] has no entry in {place(loaded).name}"
        yield Remark("warning", said, f"plenum context add {name} -- COMMAND ARGUMENTS")


def _one(upstream: Upstream) -> Iterator[Remark]:
    if upstream.skip == "disabled":
        yield Remark("note", f"{upstream.name} is disabled", f"plenum context enable {upstream.name}")
    elif upstream.skip:
        yield Remark(
            "warning", f"{upstream.name} is skipped: {upstream.skip}", f"plenum context remove {upstream.name}"
        )
    elif upstream.command and shutil.which(upstream.command[0]) is None:
        fix = f"Install {upstream.command[0]}, or name it with its folder."
        yield Remark("warning", f"{upstream.name}: its program was not found ({upstream.shown})", fix)
    else:
        yield Remark("ok", f"{upstream.name}: {upstream.shown}")
        if _in_clear(upstream):
            yield Remark("warning", f"{upstream.name}: its headers travel unencrypted", "Use https:// there.")


def _in_clear(upstream: Upstream) -> bool:
    parts = urlsplit(upstream.url)
    return bool(upstream.headers) and parts.scheme == "http" and parts.hostname not in LOOPBACK
