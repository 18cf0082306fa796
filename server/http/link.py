"""The dashboard's way in: a link that works once and sets a cookie which may look at everything, and do nothing.

The cookie opens `/` and reads `/api/*`; tools, models and metrics keep asking for a bearer token. Both end with the server.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import Scope

from .guard import Principal, Verifier

OWNER = Principal("dashboard", ("read", "admin"))
GIVEN = "plenum.cookie"  # in the scope of the request that spent the link: what to set


SHARE = "PLENUM_LINK"  # in the environment of workers


@dataclass(frozen=True, slots=True)
class Share:
    """What the workers of one server have in common: a secret, and a pipe whose only byte one of them can take."""

    secret: str = field(repr=False)
    fd: int

    @classmethod
    def made(cls) -> "Share":
        """In the supervisor, which keeps the writing end: so an emptied pipe says "later", and never ends."""
        taking, giving = os.pipe()
        os.set_blocking(taking, False)
        os.write(giving, b"1")
        return cls(secrets.token_urlsafe(32), taking)

    @classmethod
    def inherited(cls, environment: Mapping[str, str]) -> "Share | None":
        """In a worker."""
        secret, _, fd = environment.get(SHARE, "").rpartition(":")
        return cls(secret, int(fd)) if secret else None

    def __str__(self) -> str:
        return f"{self.secret}:{self.fd}"

    def take(self) -> bool:
        """Whether this was the first, of all processes."""
        try:
            return os.read(self.fd, 1) == b"1"
        except BlockingIOError:
            return False


class Link:
    """One link of one server. `port` keeps the cookies of several servers on one machine apart.

    With a `share` every worker knows the same link and cookie, and whoever gets the link spends it for all.
    """

    def __init__(self, port: int, share: Share | None = None) -> None:
        self._name = f"plenum_{port}"
        self._share = share
        secret = share.secret if share else secrets.token_urlsafe(32)
        self._ticket: str | None = _derived(secret, "ticket")
        self._session = _derived(secret, "session")

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
        return self._share is None or self._share.take()

    def _knows(self, scope: Scope) -> bool:
        sent = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
        try:
            cookie = SimpleCookie(sent).get(self._name)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._session)


def _derived(secret: str, what: str) -> str:
    return hmac.new(secret.encode(), what.encode(), "sha256").hexdigest()


def _same(sent: str, known: str) -> bool:
    return hmac.compare_digest(sent.encode("utf-8", "replace"), known.encode())
