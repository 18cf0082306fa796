"""The simulator as an HTTP server: every dialect, every fault, on a raw HTTP/1.1 of its own so that it can break it.

async with serve(load_scenario(text)) as base_url:
    ...                       # f"{base_url}/openai/v1", …/anthropic/v1, …/gemini/v1beta, …/ollama, …/cohere; batches also …/mistral/v1
GET /_log                     # the requests received so far, keys left out
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import anyio
from anyio.abc import SocketStream

from .batches import BatchDesk
from .http11 import BadRequestLine, Head, document, read_request
from .listening import listening
from .model import MODELS, embed, pieces, prompt_tokens
from .performance import FOREVER_S, perform
from .provider import listed
from .script import Scenario
from .stage import Answers, Stage
from .wires import SideWire, Wire, wires

LOGGED = 10_000  # requests kept for GET /_log; the oldest go first
Sleep = Callable[[float], Awaitable[None]]
_SECRETS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})


@dataclass(frozen=True, slots=True)
class Simulator:
    """One running simulator: its stage, and the requests it got."""

    stage: Stage
    log: deque[dict[str, Any]]
    sleep: Sleep
    desk: BatchDesk

    async def handle(self, stream: SocketStream) -> None:
        """Answer the requests of one connection until it ends, or a fault ends it."""
        buffer = bytearray()
        async with stream:
            try:
                while await self._one(stream, buffer):
                    pass
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, BadRequestLine):
                return  # the client left, or never spoke HTTP

    async def _one(self, stream: SocketStream, buffer: bytearray) -> bool:
        """Answer one request; False when the connection is not to be used again."""
        head, body = await read_request(stream, buffer)
        if head.path == "/_log":
            await stream.send(document(200, list(self.log)))
            return True
        asked = _json(body)
        self.log.append({"method": head.method, "path": head.path, "headers": _shown(head), "body": asked})
        if (batched := self.desk.answer(head, body)) is not None:
            reply, lost = batched
            await self.sleep(FOREVER_S if lost else 0)
            await stream.send(reply)
            return not lost
        for name, wire in wires().items():
            if head.path.startswith(wire.prefix + "/") and (
                kind := wire.route(head.method, head.path[len(wire.prefix) :])
            ):
                return await self._answer(stream, (name, wire), head.path[len(wire.prefix) :], (kind, asked))
        await stream.send(document(404, {"error": {"message": "There is no such path here.", "code": "not_found"}}))
        return True

    async def _answer(
        self, stream: SocketStream, wire_named: tuple[str, Wire], path: str, wanted: tuple[str, Mapping[str, Any]]
    ) -> bool:
        (name, wire), (kind, body) = wire_named, wanted
        if kind == "chat":
            asked = wire.asked(path, body)
            plan = self.stage.plan(name, asked.model, asked.request)
            return await perform(stream, wire, plan, self.sleep, stream_it=asked.stream)
        await stream.send(document(200, self._side(wire, path, kind, body)))
        return True

    def _side(self, wire: Wire, path: str, kind: str, body: Mapping[str, Any]) -> Any:
        beside = cast("SideWire", wire)
        if kind == "list":
            scenario = self.stage.scenario
            named = [key.rpartition("/")[2] for key in scenario.models if not key.endswith("*")]
            return beside.listing([listed(scenario, model) for model in dict.fromkeys([*MODELS, *named])])
        if kind == "count":
            return beside.counted(prompt_tokens(wire.asked(path, body).request))
        model, texts = beside.embedding(path, body)
        return beside.embedded(path, model, [embed(text) for text in texts], sum(len(pieces(text)) for text in texts))


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        value: Any = json.loads(body or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _shown(head: Head) -> dict[str, str]:
    return {name: "…" if name in _SECRETS else value for name, value in head.headers.items()}


@asynccontextmanager
async def serve(
    scenario: Scenario | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    answers: Answers | None = None,
    sleep: Sleep = anyio.sleep,
) -> AsyncGenerator[str]:
    """Run a simulator while the block runs; gives its base URL. Port 0 takes a free one."""
    stage = Stage(scenario, answers)
    simulator = Simulator(stage, deque(maxlen=LOGGED), sleep, BatchDesk(stage))
    async with listening(simulator.handle, host=host, port=port) as base_url:
        yield base_url
