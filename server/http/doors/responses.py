"""`POST /v1/responses`."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from server.house import House
from server.http.openai import bodies, responses
from server.http.openai.bodies import Caller
from server.http.openai.exchange import Door, Exchange
from server.http.openai.response import Response


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    return [Route("/v1/responses", Door(house, exchange), methods=["POST"])]


def exchange(raw: bytes, caller: Caller) -> Exchange:
    """What a responses body asks for. Raises InvalidRequest."""
    body = bodies.parsed(responses.ResponsesBody, raw)
    ask = bodies.ask(body, responses.request(body), caller, responses.conversation(body))
    return Exchange(ask, bool(body.stream), Response(body))
