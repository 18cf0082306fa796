"""The default store: one SQLite file for all Plenum processes of a user (hosts start one each)."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import apsw
from anyio import CancelScope
from anyio.to_thread import run_sync

from ..faults import StoreFault
from .archive import SqliteArchive
from .audit import SqliteAudit
from .board import SqliteBoard
from .books import SqliteBooks
from .cache import SqliteResponses
from .connection import connect, prepare, refuse_network, translate
from .database import Database
from .days import SqliteDays
from .ledger import SqliteLedger
from .locks import FileLock, Owner
from .marks import SqliteMarks
from .retention import SqliteRetention
from .sums import Sums
from .tokens import SqliteTokens
from .trials import SqliteTrials
from .writer import Writer


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """An open store: its parts, each behind a narrow protocol of `routing/store`."""

    path: Path
    writer: Writer
    reader: Database
    owner: Owner
    ledger: SqliteLedger
    archive: SqliteArchive
    marks: SqliteMarks
    books: SqliteBooks
    audit: SqliteAudit
    board: SqliteBoard
    days: SqliteDays
    responses: SqliteResponses
    tokens: SqliteTokens
    trials: SqliteTrials
    retention: SqliteRetention


@asynccontextmanager
async def sqlite(path: Path) -> AsyncGenerator[SqliteStore]:
    """Open the file, make or migrate it, charge what the dead left open. Raises StoreFault."""
    with ExitStack() as stack:
        store = await run_sync(_open, path, stack)
        await store.ledger.reclaim().wait()
        try:
            yield store
        finally:
            with CancelScope(shield=True):
                await run_sync(store.writer.close)


def _open(path: Path, stack: ExitStack) -> SqliteStore:
    refuse_network(path.parent)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        turnstile = FileLock(path.with_name(path.name + ".lock"))
        stack.callback(turnstile.close)
        owner = Owner(path.with_name(path.name + ".owners"), uuid4().hex)
        stack.callback(owner.close)
    except OSError as error:
        raise StoreFault("full" if error.errno == 28 else "read_only", str(error)) from None
    connection = prepare(path, turnstile)
    try:
        reader = connect(path, read_only=True)
    except apsw.Error as error:
        raise translate(error) from None
    stack.callback(reader.close)
    sums = Sums(connection)
    writer = Writer(connection, turnstile, sums)
    stack.callback(writer.close)
    ledger, archive = SqliteLedger(writer, sums, reader, owner), SqliteArchive(writer, reader, owner)
    return SqliteStore(
        path,
        writer,
        reader,
        owner,
        ledger,
        archive,
        marks=SqliteMarks(writer, reader),
        books=SqliteBooks(path, writer),
        audit=SqliteAudit(path, writer),
        board=SqliteBoard(writer, owner),
        days=SqliteDays(writer),
        responses=SqliteResponses(writer, reader),
        tokens=SqliteTokens(writer, reader),
        trials=SqliteTrials(path, writer, reader),
        retention=SqliteRetention(writer),
    )
