"""An authorization server, small and real: discovery, registration, codes with PKCE, signed access tokens, published keys.

Everybody who comes is `ann` and gets what was asked for, within `grants`. Keys can be rotated and withdrawn.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import anyio
import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from server.http.serve import bound

MAKERS = {
    "RS256": (lambda: rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
}


@dataclass
class Authority:
    issuer: str
    algorithm: str = "RS256"
    grants: tuple[str, ...] = ("plenum:read", "plenum:generate", "plenum:admin")
    always: str = ""  # granted, whatever was asked for
    lifetime_s: int = 300
    described_at: str = "oauth-authorization-server"
    keys: dict[str, Any] = field(default_factory=dict)  # by key id; the newest signs
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # paths asked for

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self, *, withdraw: bool = False) -> None:
        if withdraw:
            self.keys.clear()
        self.keys[secrets.token_hex(4)] = MAKERS[self.algorithm][0]()

    def token(self, **claims: Any) -> str:
        """A token as this server would sign it; None takes a claim away."""
        kid, key = list(self.keys.items())[-1]
        now = int(time.time())
        said = {"iss": self.issuer, "sub": "ann", "iat": now, "exp": now + self.lifetime_s, **claims}
        return jwt.encode({k: v for k, v in said.items() if v is not None}, key, self.algorithm, {"kid": kid})

    def published(self) -> dict[str, Any]:
        kind = MAKERS[self.algorithm][1]
        each = ((kid, json.loads(kind.to_jwk(key.public_key()))) for kid, key in self.keys.items())
        return {"keys": [{**public, "kid": kid, "use": "sig", "alg": self.algorithm} for kid, public in each]}

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/register",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["plenum:read", "plenum:generate", "plenum:admin"],
        }

    def app(self) -> Starlette:
        async def described(request: Request) -> Response:
            return JSONResponse(self.description())

        async def published(request: Request) -> Response:
            return JSONResponse(self.published())

        async def register(request: Request) -> Response:
            return JSONResponse({**await request.json(), "client_id": secrets.token_hex(8)}, 201)

        async def authorize(request: Request) -> Response:
            code, asked = secrets.token_urlsafe(16), dict(request.query_params)
            self.codes[code] = asked
            answer = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
            return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 302)

        async def token(request: Request) -> Response:
            form = await request.form()
            asked = self.codes.pop(str(form["code"]), None)
            proof = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=")
            if asked is None or asked["code_challenge"] != proof.decode() or asked["client_id"] != form["client_id"]:
                return JSONResponse({"error": "invalid_grant"}, 400)
            asked_for = self.always or asked.get("scope", "")
            scope = " ".join(word for word in asked_for.split() if word in self.grants)
            access = self.token(aud=asked["resource"], scope=scope, client_id=asked["client_id"])
            about = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime_s, "scope": scope}
            return JSONResponse(about, headers={"Cache-Control": "no-store"})

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.seen.append(scope["path"])
            await routed(scope, receive, send)

        path = self.issuer.partition("://")[2].partition("/")[2]
        tail = f"/{path}" if path else ""
        oidc = self.described_at == "openid-configuration"
        where = f"{tail}/.well-known/{self.described_at}" if oidc else f"/.well-known/{self.described_at}{tail}"
        routed = Starlette(
            routes=[
                Route(where, described),
                Route(f"{tail}/jwks", published),
                Route(f"{tail}/register", register, methods=["POST"]),
                Route(f"{tail}/authorize", authorize),
                Route(f"{tail}/token", token, methods=["POST"]),
            ]
        )
        return noted


class _Quiet(uvicorn.Server):
    """Leaves the signals of the process alone."""

    def capture_signals(self):
        return nullcontext()


@asynccontextmanager
async def authority(path: str = "", **more: Any) -> AsyncGenerator[Authority]:
    """A running one on a free port of loopback."""
    listening = bound("127.0.0.1", 0)
    found = Authority(f"http://127.0.0.1:{listening.getsockname()[1]}{path}", **more)
    config = uvicorn.Config(found.app(), log_level="error", lifespan="off", ws="none", http="h11")
    server = _Quiet(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        while not server.started:
            await anyio.sleep(0.01)
        try:
            yield found
        finally:
            server.should_exit = True
