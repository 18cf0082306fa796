"""What it costs to be sure: durable reserve and settle, beside the disk's own fsync and beside one transaction per step.

`python -m bench.ledger [--json] [--seconds N]`. Targets: 2,000 durable reserve+settle a second in one process; reserve p99
within 50 ms with four processes at 200 calls a second. Everything runs on the same file system in interleaved rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
import apsw

from providers.types import Answer, Usage
from routing.costs.budgets import Cap, Plan
from routing.recall import Replay
from routing.store.ledger import Closing, Entry
from routing.store.sqlite import SqliteStore, sqlite
from routing.types import NANO, Receipt, Result
from tests.routing.money import NOON, ask

PLAN = Plan((Cap("global", "day", 1e6), Cap("global", "month", 1e6)), zone="UTC")
ROUNDS = 3
PROCESSES, RATE = 4, 50


def fsyncs(folder: Path, seconds: float) -> float:
    """The floor of everything durable: 4 KiB appended and flushed, one after the other."""
    descriptor, count, end = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.write(descriptor, bytes(4096))
        os.fdatasync(descriptor)
        count += 1
    os.close(descriptor)
    return count / seconds


def one_by_one(folder: Path, seconds: float) -> float:
    """The plain way: each reserve and each settle a transaction of its own on the same settings."""
    db = apsw.Connection(str(folder / "plain.db"))
    db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE IF NOT EXISTS budget(id TEXT PRIMARY KEY, spent INTEGER, held INTEGER)")
    db.execute("CREATE TABLE IF NOT EXISTS call(id INTEGER PRIMARY KEY, state INTEGER, held INTEGER, cost INTEGER)")
    db.execute("INSERT OR IGNORE INTO budget VALUES('day', 0, 0), ('month', 0, 0)")
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        db.execute("BEGIN IMMEDIATE; UPDATE budget SET held = held + 5; INSERT INTO call VALUES(NULL, 0, 5, 0); COMMIT")
        name = db.last_insert_rowid()
        db.execute("BEGIN IMMEDIATE; UPDATE budget SET held = held - 5, spent = spent + 3")
        db.execute("UPDATE call SET state = 1, cost = 3 WHERE id = ?", (name,))
        db.execute("COMMIT")
        count += 1
    db.close()
    return count / seconds


async def ours(path: Path, tasks: int, seconds: float) -> dict[str, float]:
    """Reserve, wait until durable, settle, wait until durable; as many tasks at once as said."""
    waits: list[float] = []
    async with sqlite(path) as store:
        cpu, begin = time.process_time(), time.perf_counter()
        async with anyio.create_task_group() as group:
            for task in range(tasks):
                group.start_soon(calls, store, f"{time.time_ns()}-{task}", begin + seconds, waits)
        took = time.perf_counter() - begin
        cpu = time.process_time() - cpu
    cuts = quantiles(waits, n=100)
    return {
        "calls_s": len(waits) / took,
        "reserve_p50_ms": cuts[49] * 1e3,
        "reserve_p99_ms": cuts[98] * 1e3,
        "cpu_us": cpu / len(waits) * 1e6,
    }


async def calls(store: SqliteStore, name: str, end: float, waits: list[float]) -> None:
    number = 0
    while (started := time.perf_counter()) < end:
        number += 1
        entry = Entry(f"{name}-{number}", 1, "alpha", "m1", "bench", "", 2_000_000, NOON)
        reserved = await store.ledger.reserve(entry, PLAN.limits).wait()
        waits.append(time.perf_counter() - started)
        closing = Closing("settled", 1_100_000, "priced", Usage(900, 100), ok=True)
        await store.ledger.settle(reserved.id, closing, PLAN.limits).wait()


async def kept(path: Path, seconds: float) -> dict[str, float]:
    """A whole call as the manager makes it: hold, settle and answer in one commit; 64 at once."""
    said, count = Answer("x" * 2000, finish_reason="stop"), 0
    async with sqlite(path) as store:
        recall, end = Replay(store.archive, store.archive), time.perf_counter() + seconds

        async def one(task: int) -> None:
            nonlocal count
            while time.perf_counter() < end:
                name = f"{time.time_ns()}-{task}"
                async with recall.flight(ask(name)) as flight:
                    entry = Entry(name, 1, "alpha", "m1", "bench", "", 2_000_000, NOON)
                    reserved = await store.ledger.reserve(entry, PLAN.limits).wait()
                    store.ledger.settle(reserved.id, Closing("settled", 1_100_000, "priced", ok=True), PLAN.limits)
                    await flight.keep(Result(said, Receipt(name, cost_usd=1_100_000 / NANO)))
                count += 1

        async with anyio.create_task_group() as group:
            for task in range(64):
                group.start_soon(one, task)
    return {"calls_s": count / seconds}


def processes(path: Path, seconds: float) -> dict[str, float]:
    """Four processes at 50 calls a second each, every call 300 ms long."""
    command = [sys.executable, "-m", "tests.services.racer", str(path), "pace"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([*command, f"p{n}", str(RATE), str(seconds)], **pipes) for n in range(PROCESSES)]
    for racer in racers:
        racer.stdout.readline()
    found = [json.loads(racer.communicate("go\n")[0]) for racer in racers]
    cuts = quantiles([wait for one in found for wait in one["waits"]], n=100)
    return {"reserve_p50_ms": cuts[49] * 1e3, "reserve_p99_ms": cuts[98] * 1e3}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(one[name] for one in rounds), 2) for name in rounds[0]}


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """Interleaved rounds, medians."""
    found: dict[str, list[dict[str, float]]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(ROUNDS):
            path = folder / f"{number}.db"
            steps: dict[str, Callable[[], dict[str, float]]] = {
                "floor: fdatasync": lambda: {"calls_s": fsyncs(folder, seconds)},
                "floor: a transaction a step": lambda: {"calls_s": one_by_one(folder, seconds)},
                "reserve+settle, 1 task": lambda path=path: anyio.run(ours, path, 1, seconds),
                "reserve+settle, 64 tasks": lambda path=path: anyio.run(ours, path, 64, seconds),
                "reserve+settle, 512 tasks": lambda path=path: anyio.run(ours, path, 512, seconds),
                "reserve, settle+keep, 64 tasks": lambda path=path: anyio.run(kept, path, seconds),
                "4 processes, 200 calls/s": lambda path=path: processes(path, max(seconds, 5)),
            }
            for step, run in steps.items():
                found.setdefault(step, []).append(run())
    return {step: medians(rounds) for step, rounds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    found = measure(options.seconds)
    if options.json:
        print(json.dumps(found))
        return
    plain = found["floor: a transaction a step"]["calls_s"]
    for step, values in found.items():
        ratio = f"  {values['calls_s'] / plain:5.1f} x" if "calls_s" in values else ""
        print(f"{step:32s}" + "  ".join(f"{name} {value:10.1f}" for name, value in values.items()) + ratio)


if __name__ == "__main__":
    main()
