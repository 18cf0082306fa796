"""`/api/{costs,health,decisions,status}`: what the dashboard and scripts read, and the one thing they may do: reset breakers.

A caller sees its own decisions, and with scopes its own costs; one with the scope `admin` said outright (the dashboard's cookie has it) sees all.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from routing.errors import Refusal
from server import callers
from server.house import House
from server.http.guard import Principal
from server.mcp import scrub
from server.mcp.exact import Arguments, BadArguments, validated
from server.page import facts
from server.tools.costs import Costs
from server.tools.results import as_refusal
from server.tools.results import facts as refusal_facts

STATUSES = {"invalid_request": 400, "policy": 403, "configuration": 503}
Read = Callable[[Any, Request], Awaitable[Any]]


class _Page(Arguments):
    limit: Annotated[int, Field(ge=1, le=200, strict=False)] = 50


class _Spending(Costs):
    advise: Annotated[bool, Field(strict=False)] = True


class _Reset(Arguments):
    name: Annotated[str, Field(max_length=400)] = ""


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""

    async def costs(app: Any, request: Request) -> Any:
        wanted = _said(_Spending, request.query_params)
        return await facts.costs(app, wanted, callers.bounded(_principal(request)), advise=wanted.advise)

    async def health(app: Any, request: Request) -> Any:
        return await facts.health(app, callers.bounded(_principal(request)))

    async def decisions(app: Any, request: Request) -> Any:
        who = _principal(request)
        return await facts.decisions(
            app, _said(_Page, request.query_params).limit, None if "admin" in who.scopes else who.name
        )

    async def status(app: Any, request: Request) -> Any:
        del request
        return await facts.status(app, house)

    read = {"costs": costs, "health": health, "decisions": decisions, "status": status}
    return [
        *(Route(f"/api/{name}", _door(house, work), methods=["GET"]) for name, work in read.items()),
        Route("/api/breakers", _door(house, _reset, scope="admin"), methods=["POST"]),
    ]


async def _reset(app: Any, request: Request) -> Any:
    try:
        said: Any = await request.json()
    except ValueError:
        raise BadArguments("the body is no JSON") from None
    if not isinstance(said, dict):
        raise BadArguments("the body is no JSON object")
    name = _said(_Reset, cast("dict[str, Any]", said)).name
    return {"reset": app.guard.reset(name) if app.guard is not None else 0, "name": name}


def _door(house: House, work: Read, scope: str = "read") -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        scopes = _principal(request).scopes
        if scopes and not {scope, "admin"} & set(scopes):
            words = f"This token lacks the scope {scope}."
            return JSONResponse({"error": {"code": "policy", "message": words}}, 403)
        try:
            found = await work(await house.app(), request)
        except Exception as fault:  # noqa: BLE001 - the boundary: a fault is an answer too
            return _refused(as_refusal(fault))
        return JSONResponse(scrub.told_tree(found), headers={"cache-control": "no-store"})

    return answer


def _refused(refusal: Refusal) -> Response:
    return JSONResponse({"error": refusal_facts(refusal)}, STATUSES.get(refusal.code, 500))


def _principal(request: Request) -> Principal:
    return request.scope["plenum.principal"]


def _said(model: type[Any], said: Mapping[str, Any]) -> Any:
    return validated(model, dict(said))
