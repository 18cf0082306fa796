"""`POST /v1/chat/completions`."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from server.house import House
from server.http.openai import bodies, chat
from server.http.openai.bodies import Caller
from server.http.openai.completion import Completion
from server.http.openai.exchange import Door, Exchange


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    return [Route("/v1/chat/completions", Door(house, exchange), methods=["POST"])]


def exchange(raw: bytes, caller: Caller) -> Exchange:
    """What a chat body asks for. Raises InvalidRequest."""
    body = bodies.parsed(chat.ChatBody, raw)
    request = chat.request(body)
    shape = Completion(
        structured=request.schema is not None,
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
        receipt=body.plenum.receipt,
    )
    return Exchange(bodies.ask(body, request, caller), bool(body.stream), shape)
