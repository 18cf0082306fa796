"""Where an OAuth client learns who issues tokens for us (RFC 9728): a document, and its address in every challenge.

Without `[http] issuer` there is neither, and tokens come from `plenum tokens create`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Scope

from routing.errors import Refusal
from server.config.models import HttpTable
from server.house import House
from server.security.tokens import FOREIGN, SCOPED, SCOPES

WELL_KNOWN = "/.well-known/oauth-protected-resource"
MCP = "/mcp"


class Protected:
    """What the configuration in force says of this server as an OAuth resource."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def document(self, scope: Scope) -> Mapping[str, Any] | None:
        """The metadata. Also under the path of the resource and of `/mcp`, as clients look for it (RFC 9728 §3.1)."""
        http = await self._table()
        if http is None:
            return None
        ours = resource(http, scope)
        asked = str(scope["path"]).removeprefix(WELL_KNOWN).rstrip("/")
        if asked not in ("", MCP, urlsplit(ours).path.rstrip("/")):
            return None
        return {
            "resource": ours,
            "authorization_servers": [http.issuer],
            "scopes_supported": [f"{SCOPED}{name}" for name in SCOPES],
            "bearer_methods_supported": ["header"],
            "resource_name": "Plenum",
        }

    async def challenge(self, scope: Scope, need: str) -> str:
        """What `WWW-Authenticate` says of scope and metadata; a caller with one of our own tokens needs only the scope."""
        principal = scope.get("plenum.principal")
        own = principal is not None and not principal.name.startswith(FOREIGN)
        http = None if own else await self._table()
        if http is None:
            return f'scope="{need}"' if own else ""
        parts = urlsplit(resource(http, scope))
        where = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
        return f'scope="{SCOPED}{need}", resource_metadata="{where}"'

    async def _table(self) -> HttpTable | None:
        try:
            http = (await self._house.app()).config.http
        except Refusal:  # a house that does not open publishes nothing
            return None
        return http if http.issuer and http.audience else None


def resource(http: HttpTable, scope: Scope) -> str:
    """Our identifier as clients know it: the audience where that is a URL, else where this request found us."""
    audience = http.audience or ""
    if urlsplit(audience).scheme in ("http", "https"):
        return audience
    host = next(value.decode("latin-1") for name, value in scope["headers"] if name == b"host")
    return f"{scope['scheme']}://{host}{MCP}"
