"""How long until the dashboard shows its figures, on a ledger of 100,000 rows; floor: the same browser on an empty ledger.

Also what one scrape of 1,000 series costs. `python -m bench.dashboard [--json] [--rows N]`; needs Chromium for the page.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio
import apsw

from providers.types import Usage
from routing.events import AttemptEnded
from routing.store.codec import pack
from routing.store.sqlite import sqlite
from routing.types import Attempt, Receipt
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.http import serve
from server.http.link import Link
from server.telemetry.metrics import Metrics

CHROMIUM = "/usr/bin/chromium"
MODELS = [
    "openai/gpt-6",
    "openai/gpt-6-mini",
    "anthropic/claude-5",
    "anthropic/claude-haiku-5",
    "gemini/flash-4",
    "groq/llama-5",
]
ATTEMPT = """INSERT INTO attempt(owner, state, at, latency, ask, number, caller, task, provider, model, asked, servers,
  simulated, held, cost, basis, ok, input, output) VALUES('o', 1, ?, ?, ?, 1, ?, ?, ?, ?, 'auto', '', 0, 0, ?, 'priced', ?, ?, ?)"""
RECEIPT = "INSERT INTO receipt(id, caller, at, key, body) VALUES(?, ?, ?, ?, ?)"


async def seed(folder: Path, rows: int) -> None:
    """A ledger of `rows` attempts over the last 30 days, with a receipt each."""
    async with sqlite(folder / "plenum.db"):
        pass
    rng, now = random.Random(11), time.time()
    db = apsw.Connection(str(folder / "plenum.db"))
    with db:
        for number, at in enumerate(sorted(now - rng.random() * 30 * 86_400 for _ in range(rows))):
            provider, model = rng.choice(MODELS).split("/")
            latency, ok = rng.lognormvariate(0.3, 0.6), rng.random() > 0.03
            caller, task = rng.choice(["claude-code", "ci", "zed"]), rng.choice(["", "", "review", "summary"])
            usage = Usage(rng.randrange(200, 9_000), rng.randrange(20, 1_500))
            nano = int(usage.input * 300 + usage.output * 2_000)
            db.execute(
                ATTEMPT,
                (at, latency, f"g_{number}", caller, task, provider, model, nano, ok, usage.input, usage.output),
            )
            attempts = (Attempt(provider, model, "ok" if ok else "timeout", "", latency, nano / 1e9, usage=usage),)
            receipt = Receipt(
                f"g_{number}", provider=provider, model=model, strategy="balanced", reasoning="best of six by cost and quality",
                usage=usage, cost_usd=nano / 1e9, latency_s=latency, attempts=attempts, at=at, caller=caller, carbon_g=(0.1, 0.4),
            )  # fmt: skip
            db.execute(RECEIPT, (f"g_{number}", caller, at, f"k{number}", pack(receipt)))
    db.close()


async def painted(folder: Path, rounds: int) -> list[float]:
    """Seconds from the navigation until figures stand on the page."""
    from playwright.async_api import async_playwright

    found: list[float] = []
    here = World({}, folder, Folders(folder, folder))
    async with (
        async_playwright() as play,
        await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        listening = serve.bound("127.0.0.1", 0)
        port = listening.getsockname()[1]
        link = Link(port)
        server = serve.polite(opener(here, demo=True), serve.Listen("127.0.0.1", port, link=link))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            while not server.started:
                await anyio.sleep(0.01)
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{port}{link.path}")
            for _ in range(rounds + 1):
                began = time.perf_counter()
                await page.goto(f"http://127.0.0.1:{port}/")
                await page.wait_for_selector("[data-drawn]", state="attached", timeout=60_000)
                found.append(time.perf_counter() - began)
                await page.wait_for_load_state(
                    "networkidle"
                )  # what comes after the figures is no part of the next round
            paint = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
            server.should_exit = True
    return [median(found[1:]), paint]


def scraped(series: int = 1_000) -> float:
    """Seconds of CPU for one scrape of so many series."""
    metrics, models = Metrics(), 0
    while metrics.scrape().count(b"\n") < series:
        models += 1
        metrics(AttemptEnded("1", Attempt("p", f"m{models}", "ok", "", 0.5, 0.01, usage=Usage(10, 5))))
    times = []
    for _ in range(20):
        began = time.process_time()
        metrics.scrape()
        times.append(time.process_time() - began)
    return median(times)


async def main(rows: int, rounds: int) -> dict:
    found: dict = {"rows": rows, "scrape_1000_series_s": round(scraped(), 4)}
    for name, many in (("floor", 0), ("full", rows)):
        with tempfile.TemporaryDirectory() as folder:
            await seed(Path(folder), many)
            figures, paint = await painted(Path(folder), rounds)
        found |= {f"{name}_figures_s": round(figures, 3), f"{name}_first_paint_s": round(paint, 3)}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args()
    result = anyio.run(main, said.rows, said.rounds)
    print(json.dumps(result) if said.json else "\n".join(f"{name}: {value}" for name, value in result.items()))
