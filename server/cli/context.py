"""`plenum context …`: upstream MCP servers added, removed, switched, looked at; and what a prompt would be given."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from providers.types import Message, Request, Text
from routing.types import Ask, ContextUse
from server.config import Loaded
from server.config.world import world
from server.context import entries
from server.context.pins import Pins
from server.context.upstreams import Upstream, place, upstreams

from . import Common, Exit

STARTING_S = 30.0  # a first `npx` or `uvx` installs before it speaks


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Upstream MCP servers whose texts go into prompts.")
    app.add_typer(group, name="context")
    _editing(group, common)
    _looking(group, common)


def _editing(group: typer.Typer, common: Common) -> None:
    @group.command("add", help="Add a server: `add NAME -- COMMAND ARGS…` or `add NAME --url URL`.")
    def _add(  # pyright: ignore[reportUnusedFunction]
        name: str,
        command: Annotated[list[str] | None, typer.Argument(help="The program and its arguments.")] = None,
        url: Annotated[str, typer.Option(help="Of a Streamable HTTP server.")] = "",
        env: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, or NAME=${NAME} to keep secrets out.")] = None,
    ) -> None:
        _added(_file(common), name, _entry(command or [], url, env or []))
        common.show({"added": name}, f"Added {name} to {_file(common)}\nNext: plenum context validate {name}")

    @group.command("remove", help="Remove a server and forget what was approved of it.")
    def _remove(name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        if not entries.drop(_file(common), name):
            raise _nobody(common, name)
        _pins(common).forget(name)
        common.show({"removed": name}, f"Removed {name} from {_file(common)}")

    @group.command("enable", help="Enable a server, and approve its definitions as they are now.")
    def _enable(name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        if not entries.switch(_file(common), name, on=True):
            raise _nobody(common, name)
        _pins(common).forget(name)
        common.show({"enabled": name}, f"{name} is enabled; what it offers now is approved when it is next asked.")

    @group.command("disable", help="Disable a server; its entry stays.")
    def _disable(name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        if not entries.switch(_file(common), name, on=False):
            raise _nobody(common, name)
        common.show({"disabled": name}, f"{name} is disabled.")


def _entry(command: list[str], url: str, env: list[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"command": command[0], "args": command[1:]} if command else {}
    entry |= {"type": "http", "url": url} if url else {}
    return entry | ({"env": dict(_pair(pair) for pair in env)} if env else {})


def _added(file: Path, name: str, entry: dict[str, Any]) -> None:
    try:
        entries.put(file, name, entry)
    except ValueError as fault:
        raise Exit(2, f"{name}: {fault}.") from None


def _looking(group: typer.Typer, common: Common) -> None:
    @group.command("list", help="Who is configured, with the exact command or address.")
    def _list() -> None:  # pyright: ignore[reportUnusedFunction]
        known = upstreams(_loaded(common))
        rows = [{"server": u.name, "runs": u.shown, "trust": u.table.trust, "skipped": u.skip} for u in known]
        common.show(
            {"file": str(_file(common)), "servers": rows}, "\n".join(map(_row, known)) or "Nobody is configured."
        )

    @group.command("validate", help="Start each server (or the one named) and say how it does.")
    def _validate(name: str = typer.Argument("")) -> None:  # pyright: ignore[reportUnusedFunction]
        names = (name,) if name else tuple(u.name for u in upstreams(_loaded(common)) if not u.skip)
        views, told = anyio.run(_tried, common, _ask("", names), True)
        views = [view for view in views if view["server"] in names]
        uses = {use.server: use for use in told.context}
        common.show({"servers": views}, "\n".join(_state(view, uses) for view in views) or "Nobody is configured.")
        if any(view["state"] != "ready" for view in views):
            raise Exit(1)

    @group.command("fetch", help="Print what would be taken of a server, whatever is asked.")
    def _fetch(name: str) -> None:  # pyright: ignore[reportUnusedFunction]
        _, told = anyio.run(_tried, common, _ask("", (name,)))
        _shown(common, told)

    @group.command("test", help="Print exactly what a prompt would be given, and why.")
    def _test(  # pyright: ignore[reportUnusedFunction]
        prompt: str, context: Annotated[list[str] | None, typer.Option(help="Upstream names; omitted: auto.")] = None
    ) -> None:
        _, told = anyio.run(_tried, common, _ask(prompt, tuple(context or ("auto",))))
        _shown(common, told)


async def _tried(common: Common, ask: Ask, loud: bool = False) -> tuple[list[dict[str, Any]], Ask]:
    """Open the upstreams alone, ask those that are wanted, close them."""
    from server.context.service import contexts

    loaded = _loaded(common)
    async with contexts(loaded.folders.data, loaded.environment, loud=loud) as sources:
        sources.adopt(loaded, None)
        await sources.settled(ask, STARTING_S)
        told = await sources.add(ask)
        return [asdict(view) for view in sources.view()], told


def _ask(prompt: str, sources: tuple[str, ...]) -> Ask:
    return Ask(Request((Message("user", (Text(prompt),)),)), sources=sources)


def _shown(common: Common, told: Ask) -> None:
    material = "".join(turn.text for turn in told.request.messages[:-1])
    document = {"material": material, "system": told.request.system, "context": [asdict(use) for use in told.context]}
    lines = [material.strip() or "Nothing would be added.", "", *map(_used, told.context)]
    common.show(document, "\n".join(lines).rstrip())


def _used(use: ContextUse) -> str:
    what = f"{', '.join(use.resources)} ({use.tokens} tokens)" if use.resources else "nothing"
    return "\n".join([f"— {use.server}: {what}", *(f"  note: {warning}" for warning in use.warnings)])


def _state(view: dict[str, Any], uses: dict[str, ContextUse]) -> str:
    said = view["last_error"] or f"MCP {view['protocol']}, {view['pieces']} pieces"
    notes = uses[view["server"]].warnings if view["server"] in uses else ()
    return "\n".join([f"{view['server']}: {view['state']} ({said})", *(f"  note: {note}" for note in notes)])


def _row(upstream: Upstream) -> str:
    note = f"  (skipped: {upstream.skip})" if upstream.skip else ""
    return f"{upstream.name}  {upstream.shown}  trust={upstream.table.trust}{note}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Exit(2, f"--env wants NAME=VALUE, not {name!r}.")
    return name, value


def _loaded(common: Common) -> Loaded:
    return world(common.config).load()


def _file(common: Common) -> Path:
    return place(_loaded(common))


def _pins(common: Common) -> Pins:
    from server.context.service import PINS

    return Pins(_loaded(common).folders.data / PINS)


def _nobody(common: Common, name: str) -> Exit:
    return Exit(2, f"There is no {name} in {_file(common)}. `plenum context list` shows who is there.")
