"""The store of a fleet: one PostgreSQL for all replicas, behind the same narrow protocols as the SQLite file."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import anyio

from ..faults import StoreFault
from .archive import PostgresArchive
from .audit import PostgresAudit
from .books import PostgresBooks
from .cache import PATIENCE_S, PostgresResponses
from .commons import PostgresBoard, PostgresDays
from .driver import COMMAND_S, Pool, connect, pool, translated
from .ledger import PostgresLedger
from .people import FRESH_S, PostgresMarks, PostgresTokens
from .reader import Reader
from .retention import PostgresRetention
from .schema import MIGRATIONS, NEEDS, TURNSTILE
from .trials import PostgresTrials
from .writer import Writer

HEARTBEAT_S = 10.0  # guide reliability-and-security §7.8
MIGRATES_S = 60.0
LEAVE = "WITH gone AS (DELETE FROM plenum.owner WHERE id = $1) SELECT NULL"


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """An open store: its parts, each behind a narrow protocol of `routing/store`."""

    writer: Writer
    ledger: PostgresLedger
    archive: PostgresArchive
    books: PostgresBooks
    audit: PostgresAudit
    board: PostgresBoard
    days: PostgresDays
    responses: PostgresResponses
    tokens: PostgresTokens
    marks: PostgresMarks
    trials: PostgresTrials
    retention: PostgresRetention


@asynccontextmanager
async def postgres(url: str) -> AsyncGenerator[PostgresStore]:
    """Connect, make or migrate the schema `plenum`, keep saying that this replica lives. Raises StoreFault."""
    await migrate(url)
    async with pool(url) as readers, anyio.create_task_group() as tasks:
        store, owner = _store(url, readers)
        tasks.start_soon(store.writer.run)
        tasks.start_soon(_beat, store.ledger)
        tasks.start_soon(_followed, store.tokens)
        try:
            await store.ledger.reclaim().wait()
            await store.tokens.refresh()
            yield store
        finally:
            with anyio.CancelScope(shield=True):
                await store.audit.drained()
                store.writer.submit(LEAVE, (owner,), bool)
                await store.writer.close()
            tasks.cancel_scope.cancel()


def _store(url: str, readers: Pool) -> tuple[PostgresStore, str]:
    writer, owner, fetch = Writer(partial(connect, url)), uuid4().hex, Reader(readers, COMMAND_S)
    reports = Reader(readers, COMMAND_S)  # a long one that is cut off says nothing of the server to who asks for little
    store = PostgresStore(
        writer,
        PostgresLedger(writer, owner),
        PostgresArchive(writer, fetch, owner),
        PostgresBooks(writer, reports),
        PostgresAudit(writer, reports),
        PostgresBoard(writer, owner),
        PostgresDays(writer),
        PostgresResponses(writer, Reader(readers, PATIENCE_S)),
        PostgresTokens(writer, fetch),
        PostgresMarks(writer, fetch),
        PostgresTrials(writer, fetch),
        PostgresRetention(reports),
    )
    return store, owner


async def _beat(ledger: PostgresLedger) -> None:
    while True:
        await anyio.sleep(HEARTBEAT_S)
        ledger.reclaim()


async def _followed(tokens: PostgresTokens) -> None:
    while True:
        await anyio.sleep(FRESH_S)
        with suppress(StoreFault):  # whoever asks for money is told; those who are known stay known
            await tokens.refresh()


async def migrate(url: str) -> None:
    """Bring the schema forward, never back, one replica at a time; a newer one that says it suits us is taken as it is.

    Raises StoreFault.
    """
    try:
        with anyio.fail_after(MIGRATES_S):
            connection = await connect(url)
            try:
                async with connection.transaction():
                    await _forward(connection)
            finally:
                await connection.close()
    except Exception as error:  # noqa: BLE001 - the boundary to driver and network
        raise translated(error) from None


async def _forward(connection: Any) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", TURNSTILE)
    await connection.execute("CREATE SCHEMA IF NOT EXISTS plenum")
    await connection.execute("CREATE TABLE IF NOT EXISTS plenum.meta(version int NOT NULL, needs int NOT NULL)")
    version, needs = await connection.fetchrow("SELECT version, needs FROM plenum.meta") or (0, 0)
    if needs > len(MIGRATIONS):
        raise StoreFault("newer")
    if version < len(MIGRATIONS):
        for script in MIGRATIONS[version:]:
            await connection.execute(script)
        await connection.execute("DELETE FROM plenum.meta")
        await connection.execute("INSERT INTO plenum.meta VALUES ($1, $2)", len(MIGRATIONS), NEEDS)
