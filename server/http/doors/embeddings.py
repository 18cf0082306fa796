"""`POST /v1/embeddings`."""

import secrets
from collections.abc import Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from providers.types import Request
from routing.types import Ask
from server.house import House, admitted, sound
from server.http.openai import bodies, embedding, exchange
from server.http.openai.bodies import Caller


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    return [Route("/v1/embeddings", _Embeddings(house), methods=["POST"])]


class _Embeddings:
    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await exchange.answered(scope, receive, send, self._serve)

    async def _serve(self, raw: bytes, caller: Caller, send: Send) -> None:
        body = bodies.parsed(embedding.EmbeddingsBody, raw)
        embedding.check(body)
        app = sound(await self._house.app())
        async with admitted(app, "generate", body.plenum.max_latency_s):
            found, receipt = await app.embeddings.embed(body.texts, _ask(body, caller))
        content = embedding.written(body, found, receipt)
        await exchange.reply(send, 200, content, exchange.receipt_header(receipt.id))


def _ask(body: embedding.EmbeddingsBody, caller: Caller) -> Ask:
    own = body.plenum
    return Ask(
        Request(()),
        model=body.model,
        strategy=own.strategy,
        task=own.task,
        max_cost_usd=own.max_cost_usd,
        max_latency_s=own.max_latency_s,
        caller=caller.name,
        id=f"e_{secrets.token_urlsafe(12)}",
    )
