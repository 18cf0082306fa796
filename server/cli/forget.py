"""`plenum forget ID` and `plenum forget --before DATE`: texts, receipts and cached answers go; the sums in the ledger stay."""

from datetime import UTC, date, datetime
from typing import Annotated

import anyio
import typer
from anyio.to_thread import run_sync

from routing.store.sqlite import SqliteStore
from routing.store.sqlite.connection import emptied
from server import settings
from server.config.world import world
from server.security.evidence import SHELL, happening

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("forget", help="Forget one answer by its id, or all before a date (YYYY-MM-DD).")(forget)


def forget(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(help="The id under an answer.")] = "",  # noqa: A002 - the word users see
    before: Annotated[str, typer.Option(help="Everything before this day, UTC.")] = "",
) -> None:
    """Forget."""
    common: Common = ctx.obj
    if bool(id) == bool(before):
        raise Exit(2, "Say either an id (it stands under every answer), or --before YYYY-MM-DD.")
    count = anyio.run(_forgotten, common, id, _midnight(before) if before else 0.0)
    if id and not count:
        raise Exit(2, f"Nothing is kept under {id}.")
    common.show({"forgotten": count}, f"Forgot {count} answer(s).")


def _midnight(day: str) -> float:
    try:
        found = date.fromisoformat(day)
    except ValueError:
        raise Exit(2, f"{day!r} is no day. Write it as 2026-11-21.") from None
    return datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()


async def _forgotten(common: Common, id_: str, at: float) -> int:
    loaded = world(common.config).load()
    async with settings.store(loaded.config, loaded.folders) as store:
        archive = store.archive
        count = await (archive.forget(id_) if id_ else archive.forget_before(at)).wait()
        if count:
            await store.audit.append(happening(SHELL, "forgotten", id_ or f"before {at:.0f}", count=count)).wait()
            if isinstance(store, SqliteStore):
                await run_sync(emptied, store.path)
        return count
