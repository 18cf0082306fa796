"""What one request costs on every path and where it is paid: the figures of `docs/scale.md`, and what follows from them.

    python -m bench.scale [--json] [--calls 1500] [--at-once 64] [--only NAME] [--streams 1000]
Replicas of `plenum serve --http` on an upstream that answers at once, over SQLite, PostgreSQL, and PostgreSQL with Redis (real
servers out of the test group's wheels). Told are CPU milliseconds per request in Plenum, in PostgreSQL and in Redis, requests
per second on this machine, and what one core of each would carry. Ratios hold on a loaded machine, rates do not. With
`--streams` instead: so many streams at once, three times over, each of forty events in ten seconds; time to the first token
over the bare upstream's, and resident memory after each round.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.servers import Postgres, Redis, redis_binaries

from . import _gateway, http
from ._gateway import Target, drive

MODELS = """
[providers.up]
dialect = "openai_chat"
base_url = "{base}"
api_key = "k"
{limits}
[[providers.up.models]]
id = "m"
context_window = 128000
capabilities = ["streaming", "tools", "json", "sampling"]
price = {{ input = 0.0001, output = 0.0001 }}
[budget]
daily_usd = 10000
monthly_usd = 100000
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a request. `store` and `shared` name servers; `cached`: all ask the same."""

    name: str
    store: str = "sqlite"
    shared: bool = False
    workers: int = 1
    stream: bool = False
    cached: bool = False


PATHS = (
    Way("whole, SQLite"),
    Way("streamed, SQLite", stream=True),
    Way("exact cache, SQLite", cached=True),
    Way("whole, SQLite, 4 workers", workers=4),
    Way("whole, PostgreSQL", store="postgres"),
    Way("exact cache, PostgreSQL", store="postgres", cached=True),
    Way("whole, PostgreSQL, 4 workers", store="postgres", workers=4),
    Way("whole, PostgreSQL and Redis", store="postgres", shared=True),
    Way("whole, PostgreSQL and Redis, 4 workers", store="postgres", shared=True, workers=4),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, CPU milliseconds by process; `per_s` is what came out of this machine."""

    plenum_ms: float
    postgres_ms: float
    redis_ms: float
    per_s: float
    failed: int


class Same(Target):
    """Every request asks the same."""

    def request(self, number: int, *, stream: bool) -> bytes:
        """The first one, again."""
        del number
        return Target.request(self, 0, stream=stream)


def tree_cpu_s(process: int) -> float:
    """CPU seconds of a process and its children, who may lead sessions of their own (as PostgreSQL's do)."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if process in (int(stat.parent.name), int(fields[1])):
            found += sum(map(int, fields[11:15]))
    return found / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    way: Way, up: int, home: Path, servers: dict[str, Postgres | Redis], pace: str = "d0p0"
) -> Iterator[tuple[Target, int]]:
    """A server as this way wants it, over an upstream of this pace; gives where it listens and its session."""
    port = _gateway.free_port()
    limits = "rpm = 10000000\ntpm = 10000000000" if way.shared else ""
    text = MODELS.format(base=f"http://127.0.0.1:{up}/{pace}/v1", limits=limits)
    (home / "plenum.toml").write_text(
        f"[providers]\nauto = false\n{text}[cache]\nenabled = {str(way.cached).lower()}\n"
    )
    environment = {"PLENUM_HOME": str(home), "PLENUM_TOKEN": http.TOKEN, "PYTHONPATH": str(http.ROOT)}
    if way.store == "postgres":
        environment["PLENUM_STORE_URL"] = servers["postgres"].url
    if way.shared:
        environment["PLENUM_STORE_SHARED"] = servers["redis"].url
    command = [sys.executable, "-m", "server", "serve", "--http", f"127.0.0.1:{port}", "--workers", str(way.workers)]
    with http.running(command, port, home / "plenum.log", **environment) as session:
        kind = Same if way.cached else Target
        yield kind(port, "/v1/chat/completions", "up/m", (("Authorization", f"Bearer {http.TOKEN}"),)), session


def measured(way: Way, up: int, servers: dict[str, Postgres | Redis], calls: int, at_once: int) -> Cost:
    """One way, on a home of its own."""
    with tempfile.TemporaryDirectory() as folder, serving(way, up, Path(folder), servers) as (target, session):
        asyncio.run(drive(target, at_once, 500 * way.workers, stream=way.stream))  # every worker opens and connects

        def spent() -> tuple[float, float, float]:
            return _gateway.cpu_s(session), *(tree_cpu_s(servers[name].process.pid) for name in ("postgres", "redis"))

        before = spent()
        found = asyncio.run(drive(target, at_once, calls, stream=way.stream))
        plenum, postgres, redis = (1000 * (now - then) / calls for now, then in zip(spent(), before, strict=True))
        return Cost(plenum, postgres, redis, calls / found.wall_s, found.failed)


def streams(up: int, number: int) -> Iterator[str]:
    """Lines about so many streams at once, three times over."""
    bare = asyncio.run(drive(Target(up, "/d100p250/v1/chat/completions", "m"), number, number, stream=True))
    floor = percentiles(bare.first_s)
    yield f"bare upstream: first token p50 {floor[0]:.2f} s, p99 {floor[1]:.2f} s, failed {bare.failed}"
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(PATHS[1], up, Path(folder), {}, "d100p250") as (target, session),
    ):
        asyncio.run(drive(target, 8, 40, stream=True))
        yield f"at rest: {_gateway.rss_mb(session):.0f} MB"
        for _ in range(3):
            found = asyncio.run(drive(target, number, number, stream=True))
            first = percentiles(found.first_s)
            yield (
                f"{number} streams: first token p50 {first[0]:.2f} s, p99 {first[1]:.2f} s, all ended after "
                f"{found.wall_s:.1f} s, failed {found.failed}, {_gateway.rss_mb(session):.0f} MB"
            )


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The 50th and the 99th."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def told(way: Way, cost: Cost) -> str:
    """A line of the table in `docs/scale.md`."""
    per_core = [f"{1000 / ms:,.0f}" if ms > 0.005 else "–" for ms in (cost.plenum_ms, cost.postgres_ms, cost.redis_ms)]
    ms = [f"{value:.2f}" if value > 0.005 else "–" for value in (cost.plenum_ms, cost.postgres_ms, cost.redis_ms)]
    return f"| {way.name} | {' | '.join(ms)} | {' | '.join(per_core)} | {cost.per_s:,.0f} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--only", default="", help="Ways whose name holds this.")
    parser.add_argument("--streams", type=int, default=0)
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        up = stack.enter_context(_gateway.upstream())
        if given.streams:
            for line in streams(up, given.streams):
                print(line, flush=True)
            return 0
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plenum-scale-")))
        home.chmod(0o755)  # PostgreSQL runs as nobody
        servers: dict[str, Postgres | Redis] = {
            "postgres": Postgres(home / "postgres"),
            "redis": Redis("redis", next(iter(redis_binaries().values())), home / "redis"),
        }
        for server in servers.values():
            server.start()
            stack.callback(server.stop)
        found = {}
        for way in PATHS:
            if given.only in way.name:
                found[way.name] = cost = measured(way, up, servers, given.calls, given.at_once)
                print(told(way, cost), "" if not cost.failed else f"{cost.failed} failed", file=sys.stderr, flush=True)
    if given.json:
        print(json.dumps({name: {k: getattr(c, k) for k in Cost.__slots__} for name, c in found.items()}))
    return 1 if any(cost.failed for cost in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
