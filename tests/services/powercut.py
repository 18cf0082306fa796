"""Power cuts under the real store: a VFS keeps, beside each file, what a disk is sure to hold of it.

That is all that was synced, and a random, reordered, torn part of what was written since. Each cut makes that image a
file and asks: intact? is every acknowledged call there, with its answer? `python -m tests.services.powercut SEED CALLS FULL|NORMAL`
"""

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import apsw

from providers.types import Answer
from routing.recall import Replay
from routing.store.sqlite import connection, sqlite
from routing.types import Receipt, Result
from tests.routing.money import answer, ask, bill, tracker

SECTOR = 512


class Image:
    """What a disk holds of one file: `durable` for sure, each of `pending` perhaps."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []  # (offset, data), or (new size, None)

    @staticmethod
    def apply(buffer: bytearray, offset: int, data: bytes | None) -> None:
        if data is None:
            del buffer[offset:]
            return
        if len(buffer) < offset + len(data):
            buffer.extend(b"\0" * (offset + len(data) - len(buffer)))
        buffer[offset : offset + len(data)] = data

    def sync(self) -> None:
        for operation in self.pending:
            self.apply(self.durable, *operation)
        self.pending = []

    def after_cut(self, rng: random.Random) -> bytes:
        buffer = bytearray(self.durable)
        survivors = [operation for operation in self.pending if rng.random() < rng.choice((0, 0.5, 1))]
        if rng.random() < 0.3:
            rng.shuffle(survivors)
        for offset, data in survivors:
            if data is not None and rng.random() < 0.1:
                data = data[: rng.randrange(0, len(data) + 1) // SECTOR * SECTOR]
            self.apply(buffer, offset, data)
        return bytes(buffer)


IMAGES: dict[str, Image] = {}


class File(apsw.VFSFile):
    def __init__(self, filename, flags) -> None:
        name = filename.filename() if isinstance(filename, apsw.URIFilename) else (filename or "temporary")
        self.image = IMAGES.setdefault(os.path.basename(name), Image())
        super().__init__("unix", filename, flags)

    def xWrite(self, data, offset):
        self.image.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):
        self.image.pending.append((size, None))
        super().xTruncate(size)

    def xSync(self, flags):
        self.image.sync()
        super().xSync(flags)


class Cuttable(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("cuttable", "unix", makedefault=True)

    def xOpen(self, name, flags):
        return File(name, flags)

    def xDelete(self, name, syncdir):
        IMAGES.pop(os.path.basename(name), None)
        super().xDelete(name, syncdir)


async def run(seed: int, calls: int) -> Counter:
    rng, found = random.Random(seed), Counter()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.db"
        async with sqlite(path) as store:
            mode = await store.writer.submit(lambda db: db.execute("PRAGMA journal_mode").get).wait()
            assert mode == "wal"
            await store.writer.submit(lambda db: db.execute("PRAGMA wal_autocheckpoint = 50").get).wait()
            purse, recall = tracker(store, 1e6), Replay(store.archive, store.archive)
            for n in range(calls):
                async with recall.flight(ask(request_id=str(n))) as flight:
                    async with purse.hold(bill(str(n))) as held:
                        held.settle(answer())
                    said = Answer("x" * rng.randrange(3000))
                    await flight.keep(Result(said, Receipt(str(n))))
                if rng.random() < 0.3:
                    await cut(found, rng, n + 1)
    return found


async def cut(found: Counter, rng: random.Random, acknowledged: int) -> None:
    found["cuts"] += 1
    with TemporaryDirectory() as folder:
        for name, image in list(IMAGES.items()):
            if name in ("p.db", "p.db-wal"):
                Path(folder, name).write_bytes(image.after_cut(rng))
        db = apsw.Connection(f"{folder}/p.db", vfs="unix")
        try:
            found["corrupt"] += db.execute("PRAGMA integrity_check").get != "ok"
            whole = "SELECT count(*), coalesce(sum(cost), 0) FROM attempt WHERE state = 1"
            (count, total), (kept, spent) = (
                db.execute(whole).fetchone(),
                db.execute(
                    "SELECT (SELECT count(*) FROM receipt WHERE answer IS NOT NULL), spent FROM budget"
                ).fetchone(),
            )
            found["torn"] += total != spent
            found["lost"] += max(0, acknowledged - count) + max(0, acknowledged - kept)
        except apsw.Error:
            found["unreadable"] += 1
        finally:
            db.close()


if __name__ == "__main__":
    vfs = Cuttable()
    if sys.argv[3] != "FULL":  # the control: shows that a cut can be noticed
        connect = connection.connect

        def weaker(path: Path, *, read_only: bool = False):
            db = connect(path, read_only=read_only)
            db.execute(f"PRAGMA synchronous = {sys.argv[3]}")
            return db

        connection.connect = weaker
    print(json.dumps(anyio.run(run, int(sys.argv[1]), int(sys.argv[2]))))
