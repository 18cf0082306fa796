"""`/healthz` and `/readyz`: for orchestrators, open to everybody, telling nothing but yes or no."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from providers.types import Request as Asked
from routing.errors import Refusal
from routing.types import Ask
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
    """The configuration is sound and whoever names no model would find one: simulated models do not count outside a demo.

    A provider that is down makes no replica unready: all replicas would leave at once, and with them the good reasons.
    """
    try:
        app = await house.app()
        found = app.directory.resolve(Ask(Asked(())))
    except Refusal:
        return False
    return any(d.status in ("available", "degraded") for step in found.steps for d in step)
