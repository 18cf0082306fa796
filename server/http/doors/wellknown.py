"""`/.well-known/oauth-protected-resource`: open to everybody, 404 where no issuer is configured."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.house import House
from server.http.protected import WELL_KNOWN, Protected


def routes(house: House) -> Sequence[BaseRoute]:
    """The routes of this file."""
    protected = Protected(house)

    async def metadata(request: Request) -> Response:
        found = await protected.document(request.scope)
        if found is None:
            return JSONResponse({"error": {"message": "Nothing is published here.", "code": 404}}, 404)
        return JSONResponse(found, headers={"cache-control": "max-age=300"})

    return [Route(WELL_KNOWN, metadata), Route(f"{WELL_KNOWN}/{{path:path}}", metadata)]
