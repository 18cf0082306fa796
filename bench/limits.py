"""What protection costs a call: leave (admit and report), a slot (take, settle, give back), a turn, the door. CPU only.

`python -m bench.limits [--json]`. Targets on the reference machine: leave 20 µs, slot 40 µs. Beside each the bare library
it stands on: one `CircuitBreaker.call`, one `AsyncLimiter.acquire`. Interleaved rounds, medians. With a Redis wheel
installed also a slot of a fleet against a real server on loopback (wall time, one after the other).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from aiolimiter import AsyncLimiter
from pybreaker import CircuitBreaker

from bench.decision import unit
from providers.types import ModelCard
from routing.admission import Admission
from routing.balancer import RoundRobin
from routing.fleet import FleetLimiter
from routing.guard import Guards
from routing.health import Health
from routing.limits import Limiter, Limits
from routing.types import Deployment

ROUNDS, CALLS = 30, 200
PLENTY = Limits(rpm=10**8, tpm=10**12, rpd=10**9, concurrency=1000)
GROUP = [Deployment(f"p{n}", "m", f"p{n}", ModelCard("m"), None, None) for n in range(4)]  # pyright: ignore[reportArgumentType]
HEADERS = {"x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "6ms"}
Work = Callable[[], Awaitable[object]]


def works() -> dict[str, Work]:
    """What is measured, by name."""
    balancer = RoundRobin()
    watched, bare = Guards(watchers=[balancer, Health()]), Guards()
    gate, door = Limiter({"p0": PLENTY}), Admission()
    library, bucket = CircuitBreaker(), AsyncLimiter(10**8, 60)
    one = GROUP[0]

    async def leave(guards: Guards) -> None:
        async with guards.admit(one) as permit:
            permit.succeeded(1.0, 0.1, 100)

    async def slot(headers: dict[str, str] | None) -> None:
        async with gate.slot(one, 1000, float("inf")) as taken:
            taken.settle(400, headers)

    async def enter() -> None:
        async with door.enter("generate"):
            pass

    async def plain(work: Callable[[], object]) -> None:
        work()

    return {
        "unit_us": lambda: plain(unit),
        "pybreaker_us": lambda: plain(lambda: library.call(int)),
        "leave_us": lambda: leave(bare),
        "leave_watched_us": lambda: leave(watched),
        "blocked_us": lambda: plain(lambda: bare.blocked(one)),
        "aiolimiter_us": bucket.acquire,
        "slot_us": lambda: slot(None),
        "slot_headers_us": lambda: slot(HEADERS),
        "turn_of_4_us": lambda: plain(lambda: balancer.order(GROUP)),
        "door_us": enter,
    }


async def microseconds(work: Work) -> float:
    """CPU of one call."""
    begun = time.process_time()
    for _ in range(CALLS):
        await work()
    return (time.process_time() - begun) / CALLS * 1e6


async def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Interleaved rounds, medians."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, work in works().items():
            found.setdefault(name, []).append(await microseconds(work))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {
        **medians,
        "leave_ratio": medians["leave_us"] / medians["unit_us"],
        "slot_ratio": medians["slot_us"] / medians["unit_us"],
        **await fleet(),
    }


async def fleet() -> dict[str, float]:
    """A slot of a fleet on a real server: two round trips; empty where no server is to be had."""
    try:
        from routing.store.redis import open_redis
        from tests.services.servers import Redis, redis_binaries
    except ImportError:
        return {}
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, binary in redis_binaries().items():
            server = Redis(name, binary, Path(folder) / name).start()
            try:
                async with open_redis(server.url) as store:
                    gate = FleetLimiter(store, {"p0": PLENTY}, clock=time.monotonic)
                    found[f"slot_{name}_wall_us"] = await _wall(gate)
            finally:
                server.stop()
    return found


async def _wall(gate: FleetLimiter) -> float:
    times: list[float] = []
    for _ in range(500):
        begun = time.perf_counter()
        async with gate.slot(GROUP[0], 1000, float("inf")) as taken:
            taken.settle(400)
        times.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    result = anyio.run(measure)
    if parser.parse_args().json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value:8.2f}")


if __name__ == "__main__":
    main()
