"""kill -9 under load: workers of the real store call a vendor that logs what it billed; one of them is killed at a time.

`python -m tests.services.storm KILLS CAP_USD [leases]` prints the findings as JSON; any that is not zero where it must be is a
fault. Under leases a call may be billed whose process died before it was booked: by name it is then in no ledger, and what its
lease was booked at must cover it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import apsw
from anyio.streams.buffered import BufferedByteReceiveStream

from providers.types import Answer, Price, Usage
from routing.costs.leases import leased
from routing.errors import BudgetExceeded
from routing.recall import Replay
from routing.store.sqlite import sqlite
from routing.types import Receipt, Result
from tests.routing.money import ask, bill, deployment, tracker

WORKERS, TASKS = 3, 8
DEAR = deployment(price=Price(1.0, 1.0))


async def vendor(folder: str) -> None:
    """Bills every call before it answers, whether or not the caller survives."""
    log = open(f"{folder}/billed.log", "ab", buffering=0)

    async def serve(stream) -> None:
        reader = BufferedByteReceiveStream(stream)
        async with stream:
            while True:
                try:
                    name, tokens = (await reader.receive_until(b"\n", 200)).split()
                except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.EndOfStream):
                    return
                await anyio.sleep(random.uniform(0.002, 0.03))
                log.write(name + b" " + tokens + b"\n")
                try:
                    await stream.send(b"billed\n")
                except anyio.BrokenResourceError:
                    return

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
    await listener.serve(serve)


async def worker(folder: str, port: str, cap_usd: str, *leases: str) -> None:
    rng = random.Random()
    started = time.perf_counter()
    async with (
        sqlite(Path(folder) / "p.db") as store,
        leased(store.ledger) as lessor,
        anyio.create_task_group() as tasks,
    ):
        purse = tracker(store, float(cap_usd), clock=time.time, ledger=lessor if leases else store.ledger)
        recall = Replay(store.archive, store.archive)
        ready = time.perf_counter() - started
        kept = os.open(f"{folder}/kept.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(kept, f"ready {ready:.4f}\n".encode())

        async def one() -> None:
            stream = await anyio.connect_tcp("127.0.0.1", int(port))
            reader = BufferedByteReceiveStream(stream)
            while True:
                name, worst = rng.randbytes(8).hex(), rng.randint(100, 2000)
                tokens = rng.randint(10, worst)
                async with recall.flight(ask(request_id=name)) as flight:
                    try:
                        async with purse.hold(bill(name, tokens=(worst, 0), of=DEAR)) as held:
                            await stream.send(f"{name} {tokens}\n".encode())
                            await reader.receive_until(b"\n", 100)
                            said = Answer("x", usage=Usage(input=tokens), usage_seen=True)
                            held.settle(said)
                    except BudgetExceeded:
                        await anyio.sleep(0.05)
                        continue
                    await flight.keep(Result(said, Receipt(name)))
                    os.write(kept, f"kept {name}\n".encode())

        for _ in range(TASKS):
            tasks.start_soon(one)


@dataclass
class Findings:
    cap_usd: float
    leases: bool = False
    kills: int = 0
    billed_calls: int = 0
    nameless: int = 0
    billed_usd: float = 0.0
    booked_usd: float = 0.0
    kept: int = 0
    reclaimed: int = 0
    restart_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    states: dict = field(default_factory=dict)


def storm(kills: int, cap_usd: float, *leases: str) -> Findings:
    found, rng = Findings(cap_usd, bool(leases)), random.Random()
    with TemporaryDirectory() as folder:
        rage(found, folder, kills, rng)
        anyio.run(recover, found, folder)
        audit(found, Path(folder))
    return found


def rage(found: Findings, folder: str, kills: int, rng: random.Random) -> None:
    def start(*words: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "tests.services.storm", *words], stdout=subprocess.PIPE)

    shop = start("vendor", folder)
    port = shop.stdout.readline().decode().strip()
    words = "worker", folder, port, str(found.cap_usd), *(["leases"] if found.leases else [])
    alive = [start(*words) for _ in range(WORKERS)]
    log = Path(folder, "kept.log")
    while found.kills < kills:
        before = log.stat().st_size if log.exists() else 0
        patience = time.monotonic() + 1.5
        while time.monotonic() < patience and (not log.exists() or log.stat().st_size < before + 200):
            time.sleep(0.01)  # somebody works: killing sleepers proves nothing
        time.sleep(rng.uniform(0.0, 0.05))
        which = rng.randrange(WORKERS)
        if alive[which].poll() is not None:
            found.faults.append("a worker died by itself")
        alive[which].send_signal(signal.SIGKILL)
        alive[which].wait()
        alive[which].stdout.close()
        found.kills += 1
        alive[which] = start(*words)
    for process in [*alive, shop]:
        process.kill()
        process.wait()
        process.stdout.close()


async def recover(found: Findings, folder: str) -> None:
    started = time.perf_counter()
    async with sqlite(Path(folder) / "p.db") as store:
        found.restart_s = time.perf_counter() - started
        await store.ledger.reclaim().wait()


def audit(found: Findings, folder: Path) -> None:
    db = apsw.Connection(str(folder / "p.db"))
    billed = Counter()
    for line in (folder / "billed.log").read_text().splitlines():
        name, tokens = line.split()
        billed[name] += int(tokens) * 1000
    calls = {name: (state, cost) for name, state, cost in db.execute("SELECT ask, state, cost FROM attempt")}
    answers = {name for (name,) in db.execute("SELECT id FROM receipt WHERE answer IS NOT NULL")}
    kept = [line.split()[1] for line in (folder / "kept.log").read_text().splitlines() if line.startswith("kept")]
    ready = [float(line.split()[1]) for line in (folder / "kept.log").read_text().splitlines() if line.startswith("r")]
    ((spent, held),) = db.execute("SELECT spent, held FROM budget").fetchall()
    total = db.execute("SELECT coalesce(sum(cost), 0) FROM attempt").get
    nameless = [name for name in billed if name not in calls]
    covered = sum(cost for name, (state, cost) in calls.items() if state == 3 and name.startswith("lease-"))
    found.nameless = len(nameless)
    found.billed_calls, found.billed_usd, found.booked_usd = len(billed), sum(billed.values()) / 1e9, spent / 1e9
    found.kept, found.restart_s = len(kept), max([found.restart_s, *ready])
    words = {0: "open", 1: "settled", 2: "released", 3: "uncertain"}
    found.states = dict(Counter(words[state] for state, _ in calls.values()))
    found.reclaimed = found.states.get("uncertain", 0)
    found.faults += [
        text
        for text, bad in {
            "a billed call is not in the ledger": nameless and not found.leases,
            "more calls lost their names than were open": len(nameless) > found.kills * TASKS,
            "what leases were booked at does not cover what was billed": sum(billed[n] for n in nameless) > covered,
            "the ledger's cost is below the bill": any(calls[n][1] < c for n, c in billed.items() if n in calls),
            "a call was billed twice": any(count > 1 for count in Counter(kept).values()),
            "an answer that was kept is lost": not answers.issuperset(kept),
            "something is still held": held != 0,
            "the budget's sum is not that of its calls": total != spent,
            "the cap was passed": spent > found.cap_usd * 1e9 or found.billed_usd > found.cap_usd,
            "the file is damaged": db.execute("PRAGMA integrity_check").get != "ok",
        }.items()
        if bad
    ]
    db.close()


def main() -> int:
    found = storm(int(sys.argv[1]), float(sys.argv[2]), *sys.argv[3:])
    print(json.dumps(asdict(found)))
    return 1 if found.faults else 0


if __name__ == "__main__":
    roles = {"vendor": vendor, "worker": worker}
    if sys.argv[1] in roles:
        anyio.run(roles[sys.argv[1]], *sys.argv[2:])
    else:
        sys.exit(main())
