"""`GET /v1/models` and `GET /v1/models/{id}`: what can be asked now, as OpenAI lists models."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from providers.types import Request as Asked
from routing.errors import NoModel, Refusal
from routing.types import Ask, Deployment
from server.app import App
from server.house import House
from server.http.openai.completion import dumped
from server.http.openai.exchange import caller
from server.http.openai.faults import fault

_USABLE = ("available", "degraded")


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""

    async def every(request: Request) -> Response:
        try:
            caller(request.scope, "read")
            app = await house.app()
            return _document(200, {"object": "list", "data": [*_names(app), *map(described, _usable(app))]})
        except Refusal as refusal:
            return _refused(refusal)

    async def one(request: Request) -> Response:
        try:
            caller(request.scope, "read")
            return _document(200, _found(await house.app(), request.path_params["model"]))
        except Refusal as refusal:
            return _refused(refusal)

    return [Route("/v1/models", every), Route("/v1/models/{model:path}", one)]


def described(deployment: Deployment) -> dict[str, Any]:
    """A deployment as a model, with what OpenAI does not say beside it."""
    card, price = deployment.card, deployment.price
    return {
        **_model(deployment.name, deployment.provider),
        "context_window": card.context_window,
        "max_output": card.max_output,
        "capabilities": sorted(card.capabilities),
        "price": price and {"input": price.input, "output": price.output, "cached_input": price.cached_input},
        "simulated": deployment.simulated,
    }


def _names(app: App) -> list[dict[str, Any]]:
    return [_model(name, "plenum") for name in ("auto", *app.config.models)]


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _usable(app: App) -> list[Deployment]:
    """Simulated ones last: nobody looks for them first."""
    return sorted((d for d in app.directory.deployments() if d.status in _USABLE), key=lambda d: d.simulated)


def _found(app: App, name: str) -> dict[str, Any]:
    if any(known["id"] == name for known in _names(app)):
        return _model(name, "plenum")
    steps = app.directory.resolve(Ask(Asked(()), name)).steps
    if not steps or not steps[0]:
        raise NoModel(f"there is no model {name[:100]!r}", hint="GET /v1/models lists those there are")
    return {**described(steps[0][0]), "id": name}


def _document(status: int, content: dict[str, Any]) -> Response:
    return Response(dumped(content), status, media_type="application/json")


def _refused(refusal: Refusal) -> Response:
    told = fault(refusal)
    response = _document(told.status, told.body)
    response.raw_headers.extend(told.headers)
    return response
