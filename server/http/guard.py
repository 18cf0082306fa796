"""Who may come in: Host and Origin compared exactly on every route, a bearer token on all but the open ones.

Plain ASGI around the whole application: the SDK checks its own route only, and by prefix (`localhost:1.evil.com` passes).
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from server.mcp import doors

LONGEST_HEAD = 32 << 10  # bytes of all headers
OPEN = ("/healthz", "/readyz")
OPEN_BELOW = "/.well-known/"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and what it may: scopes `read`, `generate`, `admin`; empty means all."""

    name: str
    scopes: tuple[str, ...] = ()


class Verifier(Protocol):
    """Tells who stands behind a request's credentials."""

    async def __call__(self, scope: Scope, token: str | None) -> Principal | None:
        """The principal, or None. `token` is the bearer token sent; a cookie is in the scope's headers."""
        ...


# What a challenge adds about the scope that is needed and where tokens come from; may be nothing.
Challenge = Callable[[Scope, str], Awaitable[str]]


class Tokens:
    """Static bearer tokens by name. Compared by digest and in constant time; the tokens themselves are not kept."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        self._known = [(name, _digest(token)) for name, token in tokens]

    async def __call__(self, scope: Scope, token: str | None) -> Principal | None:
        """The first whose token this is."""
        del scope
        sent = _digest(token or "")
        hits = [name for name, known in self._known if hmac.compare_digest(known, sent)]
        return Principal(hits[0]) if hits and token else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Address:
    """Where we are reachable: Host headers and Origins that are ours, compared whole."""

    hosts: frozenset[str]
    origins: frozenset[str]

    @classmethod
    def of(cls, host: str, port: int, hosts: Sequence[str] = (), origins: Sequence[str] = ()) -> "Address":
        """Loopback names and `host` with the port served, and what the configuration adds (with its own port or none)."""
        bound = f"[{host}]" if ":" in host else host
        names = {*LOOPBACK, bound} - {"0.0.0.0", "[::]"}  # noqa: S104 - a wildcard is no name
        known = {f"{name}:{port}" for name in names} | {host.lower() for host in hosts}
        if port == 80:
            known |= names
        same = {f"{scheme}://{name}" for name in known for scheme in ("http", "https")}
        return cls(frozenset(known), frozenset(same | {_origin(origin) for origin in origins}))

    def knows_host(self, value: str | None) -> bool:
        """Whether a Host header names us."""
        return value is not None and value.lower() in self.hosts

    def knows_origin(self, value: str | None) -> bool:
        """Whether a page from this Origin may talk to us; no Origin means no page."""
        return value is None or _origin(value) in self.origins


def _origin(value: str) -> str:
    try:
        parts = urlsplit(value)
        plain = parts.scheme and parts.netloc and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        plain = False
    return value.rstrip("/").lower() if plain else "\0"  # equal to nothing allowed


class Guard:
    """The ASGI layer. Refusals are small JSON documents that tell what to do."""

    def __init__(self, app: ASGIApp, address: Address, verifier: Verifier, challenge: Challenge) -> None:
        self._app = app
        self._address = address
        self._verify = verifier
        self._challenge = challenge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here: the server closes them
        headers = _Headers(scope)
        refusal = self._unwelcome(scope, headers)
        if refusal is None:
            refusal = await self._identify(scope, headers)
        if refusal is not None:
            await answer(send, *refusal)
            return
        with doors.acting(scope.get("user")):
            await self._app(scope, receive, send)

    def _unwelcome(self, scope: Scope, headers: "_Headers") -> "Refused | None":
        if headers.size > LONGEST_HEAD:
            return Refused(431, "The request's headers are too large.")
        if not self._address.knows_host(headers.only("host")):
            return Refused(421, "This Host is not served here. Add it to [http] hosts.")
        if not self._address.knows_origin(headers.only("origin")):
            return Refused(403, "This Origin may not call. Add it to [http] origins.")
        if headers.only("content-length") is not None and headers.only("transfer-encoding") is not None:
            return Refused(400, "A body has a length or is chunked, not both.")
        kind = headers.only("content-type") or ""
        media = kind.partition(";")[0].strip().lower()
        if scope["method"] == "POST" and media.startswith("application/json") and media != "application/json":
            return Refused(415, "The content type must be application/json.")
        return None

    async def _identify(self, scope: Scope, headers: "_Headers") -> "Refused | None":
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW):
            return None
        scheme, _, token = (headers.only("authorization") or "").partition(" ")
        principal = await self._verify(scope, token.strip() if scheme.lower() == "bearer" else None)
        if principal is None:
            said = [
                'error="invalid_token"' if token else "",
                'realm="plenum"',
                await self._challenge(scope, "generate"),
            ]
            challenge = f"Bearer {', '.join(filter(None, said))}"
            return Refused(401, _wanted(scope), challenge)
        scope["plenum.principal"] = principal
        scope["plenum.caller"] = principal.name
        scope["user"] = doors.identity(principal.name, principal.scopes)
        return None


def _wanted(scope: Scope) -> str:
    if scope["path"] == "/" and scope.get("query_string", b"").startswith(b"link="):
        again = "`plenum dashboard` and every start of `plenum serve --http` make a new one"
        return f"This link opens once, and did, or is of another server: {again}."
    return "A bearer token is needed: `plenum tokens create NAME`."


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer given at the door."""

    status: int
    message: str
    challenge: str = ""

    def __iter__(self) -> Any:
        return iter((self.status, self.message, self.challenge))


class _Headers:
    def __init__(self, scope: Scope) -> None:
        self.size, self._values = 0, dict[bytes, bytes]()
        for name, value in cast("list[tuple[bytes, bytes]]", scope["headers"]):
            self.size += len(name) + len(value) + 4
            before = self._values.get(name)
            self._values[name] = value if before is None else before + b"\0" + value

    def only(self, name: str) -> str | None:
        """The header's value; something no rule accepts when it was sent twice."""
        found = self._values.get(name.encode())
        return None if found is None else found.decode("latin-1")


async def answer(send: Send, status: int, message: str, challenge: str = "") -> None:
    """A refusal as a small JSON document."""
    body = json.dumps({"error": {"message": message, "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if challenge:
        headers.append((b"www-authenticate", challenge.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
