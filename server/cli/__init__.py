"""The command line: one file per command or group, found in this folder, each with `register(app, common)`.

Typer and rich are imported here and below, nowhere else. `--json`, `--config FILE` and `--version` may stand anywhere.
"""

import errno
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from socket import gaierror
from typing import Any

import typer

from routing.errors import Refusal
from routing.store.faults import StoreFault
from server.config import ConfigFault
from server.tools.results import sentences

# Exit codes of the contract's §1 by refusal code.
EXITS = {
    "no_model": 3,
    "authentication": 4,
    "provider_failed": 4,
    "timeout": 4,
    "cancelled": 4,
    "budget_exceeded": 5,
    "rate_limited": 5,
    "policy": 6,
    "content_refused": 6,
    "invalid_request": 2,
    "context_too_long": 2,
    "configuration": 2,
}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
TAKEN = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)
# The other way round, for what a command itself refuses.
CODES = {2: "invalid_request", 3: "no_model", 4: "provider_failed", 5: "budget_exceeded", 6: "policy"}


@dataclass(frozen=True, slots=True)
class Common:
    """What every subcommand takes."""

    as_json: bool = False
    config: Path | None = None
    shown: list[Any] = field(default_factory=list[Any])  # something stands on stdout: a failure adds nothing to it

    def show(self, document: Any, text: str) -> None:
        """One JSON document on stdout with `--json`, else the text."""
        self.shown.append(True)
        print(json.dumps(document, ensure_ascii=False, allow_nan=False) if self.as_json else text, flush=True)


class Exit(Exception):
    """Leave with this status; the message goes to stderr."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status


def run(argv: Sequence[str]) -> int:
    """Parse and run one command; answers the exit status."""
    common = Common("--json" in argv)
    try:
        common, rest = split(argv)
        return _invoke(common, rest)
    except ConfigFault as fault:
        return _fail(2, "configuration", str(fault), common)
    except Refusal as refusal:
        return _fail(EXITS.get(refusal.code, 1), refusal.code, sentences(refusal.message, refusal.hint), common)
    except Exit as leave:
        return _fail(leave.status, CODES.get(leave.status, "unexpected"), str(leave), common)
    except StoreFault as fault:
        return _fail(2, "configuration", sentences(str(fault), fault.hint), common)
    except Exception as fault:
        if isinstance(fault, OSError) and (words := _blocked(fault)):
            return _fail(2, "configuration", words, common)
        if os.environ.get("PLENUM_LOG") == "debug":
            raise
        words = f"An unexpected fault ({type(fault).__name__}). Set PLENUM_LOG=debug and run it again for the details."
        return _fail(1, "unexpected", words, common)


def _blocked(fault: OSError) -> str:
    """What this machine did not let us have, and what to do; empty for what has nothing to do with files or ports."""
    why = fault.strerror or type(fault).__name__
    if fault.filename is not None or fault.errno in FULL:
        return f"A file or folder of Plenum's cannot be used ({why}). `plenum doctor` says where it may not write."
    if isinstance(fault, gaierror) or fault.errno in TAKEN:
        return f"Nothing can listen there ({why}). Choose another address or port, or end the program that has it."
    return ""


def command(common: Common) -> Any:
    """The whole command line, as the library under typer has it."""
    app = typer.Typer(
        name="plenum",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Every language-model provider behind four MCP tools. Each command takes --json and --config FILE.",
    )
    for module in iter_modules(__path__):
        if not module.name.startswith("_"):
            import_module(f"{__name__}.{module.name}").register(app, common)
    return typer.main.get_command(app)


def _invoke(common: Common, rest: list[str]) -> int:
    if common.as_json:
        return _invoked_for_a_program(command(common), common, rest)
    try:
        command(common).main(args=rest, prog_name="plenum", obj=common)
    except SystemExit as leave:  # typer has printed its own usage errors: status 2
        return leave.code if isinstance(leave.code, int) else 1
    return 0


def _invoked_for_a_program(whole: Any, common: Common, rest: list[str]) -> int:
    """Wrong usage is one JSON document too."""
    try:
        status = whole.main(args=rest, prog_name="plenum", obj=common, standalone_mode=False)
    except typer.Abort:
        return _fail(1, "cancelled", "Aborted.", common)
    except Exception as fault:
        said = getattr(fault, "format_message", None)  # of typer's own usage errors, whose class it does not export
        if said is None:
            raise
        return _fail(2, "invalid_request", f"{said()} `plenum --help` lists the commands.", common)
    return status if isinstance(status, int) else 0


def split(argv: Sequence[str]) -> tuple[Common, list[str]]:
    """Take out what every subcommand takes; what follows `--` is left alone. Raises Exit(2)."""
    as_json, config, rest = False, None, list[str]()
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--json":
            as_json = True
        elif word == "--config":
            config = next(words, "")
        elif word.startswith("--config="):
            config = word.partition("=")[2]
        else:
            rest.append(word)
    if config == "":
        raise Exit(2, "--config needs a file, as in `--config plenum.toml`.")
    return Common(as_json, Path(config).expanduser() if config else None), ["version"] if "--version" in rest else rest


def _fail(status: int, code: str, message: str, common: Common) -> int:
    if common.as_json and message and not common.shown:
        print(json.dumps({"error": {"code": code, "message": message}}))
    if message:
        print(message, file=sys.stderr)
    return status
