"""`make fleet-demo`: a whole fleet without containers – Redis, the store, a simulated provider, three replicas – put to the test.

The servers come from the test group's wheels. One limit and one budget hold over all replicas, a killed replica costs
nobody an answer, and one told to stop ends its streams first. Prints what it saw; ends 1 where that is not what it should be.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import anyio
import httpx

sys.path.insert(0, str(Path(__file__).parent))

from servers import Postgres, Redis, free_port, redis_binaries

ROOT = Path(__file__).parents[2]
REPLICAS = 3
RPM = 30
DAILY_USD = 0.002
CONFIG = """
[providers]
auto = false
{providers}
[store]
url = "{store}"
shared = "{shared}"
[cache]
enabled = false
"""
PROVIDER = """
[providers.{name}]
dialect = "openai_chat"
base_url = "{base}/openai/v1"
{more}
[[providers.{name}.models]]
id = "fast"
context_window = 32000
capabilities = ["streaming", "tools", "json", "sampling"]
price = {{ input = 1.0, output = 2.0 }}
"""


class Fleet:
    """Replicas behind the plainest of load balancers: each in turn, the next when one does not answer."""

    def __init__(self, ports: list[int]) -> None:
        self.ports, self.turn = ports, 0

    async def ask(self, model: str, prompt: str, **more) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": 40, **more}
        self.turn += 1
        first = self.turn % len(self.ports)
        for port in self.ports[first:] + self.ports[:first]:
            try:
                async with httpx.AsyncClient(timeout=60) as http:
                    url = f"http://127.0.0.1:{port}/v1/chat/completions"
                    return await http.post(url, json=body, headers={"Authorization": "Bearer fleet"})
            except httpx.TransportError:
                continue
        raise RuntimeError("no replica answers")

    async def burst(self, model: str, calls: int, **more) -> Counter[str]:
        """How many calls came to what."""
        found: Counter[str] = Counter()

        async def one(number: int) -> None:
            reply = await self.ask(model, f"{model} {number}", **more)
            found["answered" if reply.status_code == 200 else reply.json()["error"]["code"]] += 1

        async with anyio.create_task_group() as tasks:
            for number in range(calls):
                tasks.start_soon(one, number)
        return found


@contextmanager
def process(name: str, home: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """One of our commands, killed at the end if it has not ended by then."""
    environment = {**os.environ, "PLENUM_HOME": str(home), "PLENUM_TOKEN": "fleet", "PYTHONPATH": str(ROOT)}
    with (home / f"{name}.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "server", *arguments], cwd=home, env=environment, stdout=log, stderr=log
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def await_ready(port: int, path: str) -> None:
    """Until it says that it is ready."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"port {port} is not ready")


def told(ok: bool, what: str) -> bool:
    """Say it, marked."""
    print(f"  {'ok  ' if ok else 'FAIL'} {what}", flush=True)
    return ok


async def scenes(fleet: Fleet, replicas: list[subprocess.Popen]) -> bool:
    """What a fleet must do."""
    good = []
    print(f"\none limit: {RPM} requests a minute over {len(fleet.ports)} replicas, 60 calls at once, patience 3 s")
    found = await fleet.burst("limited/fast", 60, plenum={"max_latency_s": 3})
    good.append(told(0 < found["answered"] <= RPM, f"{dict(found)}"))

    print(f"\none budget: ${DAILY_USD} a day at one provider, 60 calls at once, the worst case of each is held first")
    found = await fleet.burst("poor/fast", 60)
    good.append(told(0 < found["answered"] < 60 and found["insufficient_quota"] > 0, f"{dict(found)}"))

    print("\na replica is killed while 90 calls are on their way")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_soon, replicas[0])
        found = await fleet.burst("free/fast", 90)
    good.append(told(found["answered"] == 90, f"{dict(found)}"))

    print("\na replica is told to stop in the middle of a stream")
    good.append(
        told(await drained(fleet.ports[1], replicas[1]), "the stream came to its end, then the process ended with 0")
    )
    reply = await fleet.ask("free/fast", "What is 17 + 25?")
    good.append(told("42" in reply.text, "the last one answers: " + reply.json()["choices"][0]["message"]["content"]))
    return all(good)


async def kill_soon(replica: subprocess.Popen) -> None:
    await anyio.sleep(0.1)
    replica.send_signal(signal.SIGKILL)


async def drained(port: int, replica: subprocess.Popen) -> bool:
    """Whether a stream outlives the order to stop."""
    body = {"model": "slow/fast", "messages": [{"role": "user", "content": "Tell me about rivers."}], "stream": True}
    text = ""
    async with httpx.AsyncClient(timeout=60, headers={"Authorization": "Bearer fleet"}) as http:
        async with http.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as reply:
            async for piece in reply.aiter_text():
                if not text:
                    replica.send_signal(signal.SIGTERM)
                text += piece
    code = await anyio.to_thread.run_sync(replica.wait, 30)
    return "[DONE]" in text and code == 0


def main() -> int:
    """Start it all, play, stop it all."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plenum-fleet-")))
        home.chmod(0o755)
        shared = Redis("redis", next(iter(redis_binaries().values())), home / "redis").start()
        stack.callback(shared.stop)
        store = f"sqlite:///{home}/plenum.db"
        if find_spec("routing.store.postgres") is not None:
            postgres = Postgres(home / "postgres").start()
            stack.callback(postgres.stop)
            store = postgres.url
        calm, slow = free_port(), free_port()
        pace = home / "slow.json"
        pace.write_text(json.dumps({"models": {"*": {"tokens_per_s": 10}}}))
        stack.enter_context(process("provider", home, "simulate", "--port", str(calm)))
        stack.enter_context(process("slow", home, "simulate", "--port", str(slow), "--scenario", str(pace)))
        more = {"free": "", "slow": "", "limited": f"rpm = {RPM}", "poor": f"daily_usd = {DAILY_USD}"}
        providers = "".join(
            PROVIDER.format(name=name, base=f"http://127.0.0.1:{slow if name == 'slow' else calm}", more=line)
            for name, line in more.items()
        )
        (home / "plenum.toml").write_text(CONFIG.format(providers=providers, store=store, shared=shared.url))
        await_ready(calm, "/_log")
        ports = [free_port() for _ in range(REPLICAS)]
        replicas = [
            stack.enter_context(process(f"replica-{port}", home, "serve", "--http", f"127.0.0.1:{port}"))
            for port in ports
        ]
        for port in ports:
            await_ready(port, "/readyz")
        print(f"{shared.name} on {shared.port}, store {store.split(':')[0]}, replicas on {ports}")
        good = anyio.run(scenes, Fleet(ports), replicas)
    print("\nthe fleet behaves as one Plenum" if good else "\nthis is not one Plenum")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
