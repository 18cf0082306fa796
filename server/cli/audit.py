"""`plenum audit show | verify`: what happened here, and whether anybody changed the record of it."""

from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer

from routing.store.audit import AuditLine, Verdict
from server import settings
from server.config.world import world

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    group = typer.Typer(no_args_is_help=True, help="The audit log: key use, changes, refusals.")
    app.add_typer(group, name="audit")
    group.command("show", help="The newest lines, oldest first.")(show)
    group.command("verify", help="Walk the whole chain. --head compares with a hash noted elsewhere.")(verify)


def show(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    since: Annotated[int, typer.Option(min=0, help="Only lines after this number.")] = 0,
) -> None:
    """Print lines."""
    common: Common = ctx.obj
    lines: list[AuditLine] = anyio.run(_read, common, since, limit)
    rows = [described(line) for line in lines]
    text = "\n".join(
        f"{r['number']:>6}  {r['at']}  {r['who']}: {r['what']} {r['subject']}  {r['detail']}".rstrip() for r in rows
    )
    common.show({"lines": rows}, text or "Nothing has been noted yet.")


def verify(
    ctx: typer.Context,
    head: Annotated[str, typer.Option(help="The hash the log must still contain as its end.")] = "",
) -> None:
    """Check the chain."""
    common: Common = ctx.obj
    verdict: Verdict = anyio.run(_verified, common)
    found = verdict.head.hex()
    why = verdict.why or (f"the log ends with {found}, not with {head}" if head and head != found else "")
    document = {"ok": not why, "lines": verdict.lines, "head": found, "broken": verdict.broken, "why": why}
    common.show(
        document, f"The audit log does NOT hold: {why}." if why else f"{verdict.lines} line(s) hold. Head: {found}"
    )
    if why:
        raise Exit(1)


def described(line: AuditLine) -> dict[str, Any]:
    """A line to read."""
    h = line.happening
    at = datetime.fromtimestamp(h.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "number": line.number,
        "at": at,
        "who": h.who,
        "what": h.what,
        "subject": h.subject,
        "detail": h.detail,
        "hash": line.hash.hex(),
    }


async def _read(common: Common, since: int, limit: int) -> list[AuditLine]:
    loaded = world(common.config).load()
    async with settings.store(loaded.config, loaded.folders) as store:
        return list(await store.audit.lines(since, limit))


async def _verified(common: Common) -> Verdict:
    loaded = world(common.config).load()
    async with settings.store(loaded.config, loaded.folders) as store:
        return await store.audit.verify()
