"""`plenum install HOST`: a secret-free entry in a host's MCP configuration, put in atomically, and taken out again."""

import os
import platform
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from server.hosts import HOSTS, Host, Place, Unreadable, installed, removed, snippet, started_by

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""

    @app.command("install", help=f"Add Plenum to a host: {', '.join(HOSTS)}.")
    def _install(  # pyright: ignore[reportUnusedFunction]
        host: str,
        show: Annotated[bool, typer.Option("--print", help="Print the entry and the file; change nothing.")] = False,
        undo: Annotated[bool, typer.Option("--undo", help="Take the entry out again.")] = False,
        here: Annotated[
            bool, typer.Option("--here", help="Start this installation instead of `uvx plenum-mcp`.")
        ] = False,
    ) -> None:
        found = _here(_named(host)) if here else _named(host)
        file = found.file(Place(platform.system(), Path.home(), os.environ))
        if show:
            facts = {"host": found.name, "file": str(file), "entry": dict(found.entry)}
            common.show(facts, f"{file}\n{snippet(found)}".rstrip())
            return
        _changed(common, found, file, undo=undo)


def _named(host: str) -> Host:
    if host not in HOSTS:
        near = get_close_matches(host, HOSTS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(HOSTS)}."
        raise Exit(2, f"There is no host {host!r}: {hint}")
    return HOSTS[host]


def _here(host: Host) -> Host:
    program = Path(sys.executable).with_name("plenum-mcp.exe" if os.name == "nt" else "plenum-mcp")
    if not program.exists():
        raise Exit(
            2, "This Plenum runs from its sources. Install it first (`make demo` does), then use .venv/bin/plenum."
        )
    return started_by(host, program)


def _changed(common: Common, host: Host, file: Path, *, undo: bool) -> None:
    try:
        change = removed(host, file) if undo else installed(host, file)
        if change.needed:
            change.write()
    except (Unreadable, OSError) as fault:
        words = str(fault) if isinstance(fault, Unreadable) else f"{file} cannot be written ({fault.strerror})."
        raise Exit(2, words) from None
    done = ("Taken out of" if undo else "Written to") if change.needed else "Nothing to change in"
    facts = {"host": host.name, "file": str(file), "changed": change.needed}
    common.show(facts, f"{done} {file}.{'' if undo else ' ' + host.note}")
