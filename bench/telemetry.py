"""What telling costs: CPU per routed call with Prometheus and the log listening, beside the same call unheard.

`python -m bench.telemetry [--json]`. Target: at most 5 % of a call. Interleaved rounds, medians; the simulator answers.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio

from providers.types import Message, Request, Text
from routing.types import Ask
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.telemetry.log import as_logfmt, log
from server.telemetry.metrics import Metrics

CALLS, ROUNDS = 100, 9


async def cpu(app, first: int) -> float:
    began = time.process_time()
    for number in range(first, first + CALLS):
        request = Request(messages=(Message("user", (Text(f"What is {number} + 1?"),)),))
        await app.manager.generate(Ask(request, model="sim/echo", cache="off", key=f"k{number}", id=f"g_{number}"))
    return (time.process_time() - began) / CALLS


async def main() -> dict:
    silent, heard = [], []
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with opener(
            World({"PLENUM_BUDGET_DAILY_USD": "1000"}, folder, Folders(folder, folder)), demo=True
        )() as app:
            await cpu(app, 0)
            for number in range(ROUNDS):
                silent.append(await cpu(app, 1_000 + number * 2 * CALLS))
                ends = [app.hub.subscribe(one) for one in (Metrics(), log(as_logfmt, lambda line: None))]
                heard.append(await cpu(app, 1_000 + number * 2 * CALLS + CALLS))
                for end in ends:
                    end()
    share = median(h / s for h, s in zip(heard, silent, strict=True)) - 1
    return {
        "silent_us": round(median(silent) * 1e6, 1),
        "heard_us": round(median(heard) * 1e6, 1),
        "share": round(share, 4),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    result = anyio.run(main)
    print(
        json.dumps(result)
        if parser.parse_args().json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
