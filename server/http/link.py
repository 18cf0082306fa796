"""The dashboard's way in: a link that works once and sets a cookie which may look at everything, and do nothing.

The cookie opens `/` and reads `/api/*`; tools, models and metrics keep asking for a bearer token. Both end with the process.
"""

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import Scope

from .guard import Principal, Verifier

OWNER = Principal("dashboard", ("read", "admin"))
GIVEN = "plenum.cookie"  # in the scope of the request that spent the link: what to set


class Link:
    """One link of one server. `port` keeps the cookies of several servers on one machine apart."""

    def __init__(self, port: int) -> None:
        self._name = f"plenum_{port}"
        self._ticket: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)

    @property
    def path(self) -> str:
        """Where to go, once. Raises ValueError after that."""
        if self._ticket is None:
            raise ValueError("the link was used")
        return f"/?link={self._ticket}"

    def before(self, verifier: Verifier) -> Verifier:
        """A verifier that knows the link and its cookie, and asks `verifier` about all else."""

        async def verify(scope: Scope, token: str | None) -> Principal | None:
            if token is None and scope["method"] == "GET" and self._opens(scope):
                return OWNER
            return await verifier(scope, token)

        return verify

    def _opens(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path == "/" and self._spent(scope):
            scope[GIVEN] = f"{self._name}={self._session}; Path=/; HttpOnly; SameSite=Strict"
            return True
        return (path == "/" or path.startswith("/api/")) and self._knows(scope)

    def _spent(self, scope: Scope) -> bool:
        sent = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("link", [""])
        if self._ticket is None or not _same(sent[0], self._ticket):
            return False
        self._ticket = None
        return True

    def _knows(self, scope: Scope) -> bool:
        sent = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
        try:
            cookie = SimpleCookie(sent).get(self._name)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._session)


def _same(sent: str, known: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "replace"), known.encode())
