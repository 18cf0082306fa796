"""`/`: the dashboard. It fetches its facts from `/api`; the cookie of the one-time link opens both (`server.http.link`)."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from server.house import House
from server.http.link import GIVEN
from server.page.html import page, policy


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    del house

    async def show(request: Request) -> Response:
        headers = {
            "content-security-policy": policy(),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
        }
        if (cookie := request.scope.get(GIVEN)) is not None:
            headers["set-cookie"] = cookie
        return HTMLResponse(page(), headers=headers)

    return [Route("/", show, methods=["GET"])]
