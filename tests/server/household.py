"""A small house for the tests of the MCP face: the simulator behind a manager of twenty lines, so that what is tested is ours.

Run as a program it serves stdio; the scenario of the simulator comes as JSON in $SCENARIO.
"""

import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anyio

sys.path.insert(0, str(Path(__file__).parents[2]))

from providers.simulator import Scenario, SimProvider, card
from providers.types import Answer, Price
from routing.errors import ProvidersFailed
from routing.events import Progressed, silent
from routing.types import Attempt, Deployment, Receipt, Resolution, Result
from server.config import Config
from server.hub import Hub


class SmallManager:
    """Asks one simulated model, tells every delta, and notes who was cancelled."""

    def __init__(self, scenario: Scenario) -> None:
        self.provider = SimProvider(scenario)
        self.calls = 0
        self.cancelled = 0
        self.asked = deque(maxlen=100)  # the last ones: a soak must not grow by what it notes

    async def generate(self, ask, tell=silent) -> Result:
        self.calls += 1
        self.asked.append(ask)
        model = ask.model.removeprefix("sim/") if ask.model != "auto" else "fast"
        began = time.monotonic()
        tell(Progressed(ask.id, f"asking sim/{model}"))
        try:
            async with self.provider.open(ask.request, model) as stream:
                async for delta in stream:
                    tell(Progressed(ask.id, "", delta.text, draft=1))
                answer = stream.answer
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            print("provider stream closed by cancellation", file=sys.stderr, flush=True)
            raise
        except Exception as fault:
            attempt = Attempt("sim", model, getattr(fault, "kind", "unexpected"))
            raise ProvidersFailed(
                "All attempts failed.",
                hint="Try again later.",
                after=7,
                receipt=Receipt(ask.id, attempts=(attempt,)),
            ) from None
        receipt = Receipt(
            ask.id,
            conversation=ask.id,
            provider="sim",
            model=model,
            strategy="balanced",
            finish_reason=answer.finish_reason or "",
            usage=answer.usage,
            cost_usd=0.000012,
            latency_s=time.monotonic() - began,
            simulated=True,
            caller=ask.caller,
        )
        return Result(answer, receipt)

    async def explain(self, ask) -> Receipt:
        return Receipt(ask.id, strategy="balanced", reasoning="it is the only one", candidates=(("sim/fast", 0.9),))


class SmallJournal:
    """Knows one answer, of one caller, and notes what was delivered."""

    def __init__(self):
        self.delivered = []

    async def begin(self, handle, caller):
        pass

    def end(self, handle, caller):
        pass

    async def lives(self, request_id, caller):
        return None

    async def stop(self, handle, caller):
        pass

    async def stopped(self, handle, caller):
        return False

    async def refuse(self, handle, caller, reason):
        pass

    def deliver(self, id, *, reached):
        self.delivered.append((id, reached))

    async def receipt(self, id, caller):
        return (
            Receipt(id, provider="sim", model="fast", cached="replayed")
            if (id, caller) == ("g_kept", "local")
            else None
        )

    async def answer(self, id, caller):
        return Answer("kept text", finish_reason="stop") if (id, caller) == ("g_kept", "local") else None


class SmallDirectory:
    """Three simulated deployments."""

    def __init__(self, provider) -> None:
        self._provider = provider

    def deployments(self):
        def one(model, **more):
            return Deployment(
                "sim", model, "sim#1", card(model), Price(1.0, 4.0), self._provider, simulated=True, **more
            )

        return [one("fast"), replace(one("smart"), price=Price(3.0, 15.0)), one("slow", status="no_key")]

    def resolve(self, ask):
        return Resolution("auto", (tuple(self.deployments()),), auto=True)


def small_app(scenario: Scenario | None = None) -> SimpleNamespace:
    manager = SmallManager(scenario or Scenario())
    return SimpleNamespace(
        manager=manager,
        directory=SmallDirectory(manager.provider),
        journal=SmallJournal(),
        hub=Hub(),
        config=Config(),
        fusion=None,
        costs=None,
        purse=None,
        conversations=None,
        health=None,
        guard=None,
        gate=None,
        context=None,
        admission=None,
        security=None,
        store=None,
        key_desk=None,
        fault=None,
        warnings=(),
    )


def opener_of(app) -> Callable:
    @asynccontextmanager
    async def opener() -> AsyncGenerator:
        try:
            yield app
        finally:
            await anyio.sleep(0)
            print("app closed", file=sys.stderr, flush=True)

    return opener


@asynccontextmanager
async def served(app, *, heads=None, hosts=(), origins=(), state_key="") -> AsyncGenerator[int]:
    """The house over HTTP in this process; gives the port. Its token is `secret`, of the caller `tester`."""
    from server.http import serve

    listening = serve.bound("127.0.0.1", 0)
    port = listening.getsockname()[1]
    listen = serve.Listen("127.0.0.1", port, (("tester", "secret"),), hosts, origins, state_key)
    server = serve.polite(opener_of(app), listen)
    if heads is not None:
        server.config.http = heads.protocol()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield port
        finally:
            server.should_exit = True


if __name__ == "__main__":
    from providers.simulator import load_scenario
    from server.serve import serve_stdio

    house = small_app(load_scenario(os.environ.get("SCENARIO", "{}")))
    if sys.argv[1:2] == ["http"]:

        async def main() -> None:
            from server.http import serve

            listening = serve.bound("127.0.0.1", 0)
            port = listening.getsockname()[1]
            print(port, flush=True)
            await serve.polite(opener_of(house), serve.Listen("127.0.0.1", port, (("tester", "secret"),))).serve(
                [listening]
            )

        anyio.run(main)
    else:
        anyio.run(serve_stdio, opener_of(house))
