"""`/healthz` and `/readyz`: for orchestrators, open to everybody, telling nothing but yes or no."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from routing.errors import Refusal
from server.house import House


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""

    async def alive(request: Request) -> Response:
        del request
        return JSONResponse({"ok": True})

    async def ready(request: Request) -> Response:
        del request
        ok = await _ready(house)
        return JSONResponse({"ok": ok}, 200 if ok else 503)

    return [Route("/healthz", alive), Route("/readyz", ready)]


async def _ready(house: House) -> bool:
    """The configuration is sound and somebody can be asked."""
    try:
        app = await house.app()
        return any(d.status in ("available", "degraded") for d in app.directory.deployments())
    except Refusal:
        return False
