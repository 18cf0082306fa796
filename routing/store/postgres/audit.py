"""The audit chain on a server: hashes are made here, the server admits a line only if it follows the last one."""

import json
from collections.abc import Sequence
from contextlib import suppress
from secrets import randbits
from typing import Any

from ..audit import GENESIS, AuditLine, Happening, Verdict, chained, judged
from ..faults import StoreFault
from ..pending import Pending
from .driver import Fetch
from .writer import Writer

APPEND = "SELECT plenum.append_audit($1, $2, $3, $4, $5, $6, $7, $8, $9)"
NEWEST = """SELECT number, at, who, what, subject, detail, hash FROM plenum.audit
  WHERE number > $1 ORDER BY number DESC LIMIT $2"""
ALL = "SELECT number, at, who, what, subject, detail, hash FROM plenum.audit ORDER BY number"
HEAD = "SELECT hash FROM plenum.audit_head"


class PostgresAudit:
    """`Audit` shared by replicas."""

    def __init__(self, writer: Writer, fetch: Fetch) -> None:
        self._writer = writer
        self._fetch = fetch
        self._head: tuple[int, bytes] = (0, GENESIS)
        self._waiting: set[Pending[int]] = set()

    def append(self, happening: Happening) -> Pending[int]:
        """Durable when awaited."""
        outcome: Pending[int] = Pending()
        self._waiting.add(outcome)
        outcome.then(lambda _, __: self._waiting.discard(outcome))
        self._append(happening, outcome)
        return outcome

    async def drained(self) -> None:
        """Wait until nothing is on its way: a line may need a second try, so this comes before the writer closes."""
        while self._waiting:
            with suppress(StoreFault):
                await next(iter(self._waiting)).wait()

    def later(self, happening: Happening) -> None:
        """Durable soon."""
        self.append(happening)

    async def lines(self, since: int = 0, limit: int = 100) -> Sequence[AuditLine]:
        """The newest, oldest first."""
        return [_line(row) for row in reversed(await self._fetch(NEWEST, since, limit))]

    async def verify(self) -> Verdict:
        """Walk the whole chain, up to the head as it was at the beginning."""
        (head,) = await self._fetch(HEAD)
        lines = [_line(row) for row in await self._fetch(ALL)]
        known = [at for at, line in enumerate(lines, 1) if line.hash == head[0]]
        return judged(lines[: known[-1]] if known else lines, head[0])

    def _append(self, happening: Happening, outcome: Pending[int]) -> None:
        last, before = self._head
        made = chained(before, last + 1, happening)
        h = happening
        row = last + 1, before, h.at, h.who, h.what, h.subject, h.detail, made, randbits(62)
        self._head = last + 1, made  # the next line of ours follows this one, in the same batch
        pending = self._writer.submit(APPEND, row, json.loads)
        pending.then(lambda found, error: self._appended(happening, outcome, found, error))

    def _appended(self, happening: Happening, outcome: Pending[int], found: Any, error: Exception | None) -> None:
        if error is not None:
            self._head = (0, GENESIS)  # the server will say where the chain stands
            outcome.resolve(None, error)
        elif found["admitted"]:
            outcome.resolve(found["number"], None)
        else:  # another replica was faster
            self._head = found["number"], bytes.fromhex(found["hash"])
            self._append(happening, outcome)


def _line(row: Sequence[Any]) -> AuditLine:
    number, at, who, what, subject, detail, hash_ = row
    return AuditLine(number, Happening(at, who, what, subject, detail), bytes(hash_))
