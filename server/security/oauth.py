"""OAuth resource server: access tokens (JWT, RFC 9068) of one issuer, checked by its published keys.

Only for us (`aud`), only by it (`iss`), only with public-key signatures, only while valid. Nothing is proxied and the
token goes nowhere: what leaves this module is a name and scopes.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import anyio
import jwt
from anyio.to_thread import run_sync

from ..config.values import issuer_url
from .security import Known
from .tokens import FOREIGN, SCOPED, SCOPES

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LEEWAY_S, KEEP_S, LEAST_S, TIMEOUT_S, TOTAL_S = 30, 3600.0, 30.0, 5.0, 15.0
LARGEST = 1 << 20
Load = Callable[[str], Any]


def load(url: str) -> Any:
    """JSON from an address of the configuration's issuer. Blocking. Raises OSError, ValueError."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - see _issuer_url
    try:
        with urllib.request.build_opener(_Straight()).open(request, timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read(LARGEST))
    except urllib.error.HTTPError as refused:
        refused.close()
        raise


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Follow nobody."""
        del args, more


@dataclass(slots=True)
class Issuer:
    """Keys are kept for an hour; an unknown key id makes us look again, at most every 30 s."""

    issuer: str
    audience: str
    load: Load = load
    clock: Callable[[], float] = time.monotonic
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict[str, jwt.PyJWK])
    _read_at: float = float("-inf")
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def known(self, token: str) -> Known | None:
        """Who the token is of, None where anything about it is wrong."""
        if not self.audience or len(token) > 16_384:
            return None
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = await self._key(kid if isinstance(kid, str) else "")
            if key is None:
                return None
            required = {"require": ["exp", "iss", "aud", "sub"], "strict_aud": False}
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[a for a in ALGORITHMS if _fits(a, key)],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_S,
                options=cast("Any", required),
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return _known(claims)

    async def _key(self, kid: str) -> jwt.PyJWK | None:
        if kid in self._keys and self._age() <= KEEP_S:
            return self._keys[kid]  # strangers' key ids hold up nobody
        async with self._lock:
            if self._age() > (LEAST_S if kid not in self._keys else KEEP_S):
                self._read_at = self.clock()
                # shielded: a caller who hangs up must not cost everybody else the answer
                with anyio.move_on_after(TOTAL_S, shield=True):
                    self._keys = await run_sync(self._published, abandon_on_cancel=True) or self._keys
        return self._keys.get(kid)

    def _age(self) -> float:
        return self.clock() - self._read_at

    def _published(self) -> dict[str, jwt.PyJWK]:
        for description in described(issuer_url(self.issuer)):
            if keys := self._keys_of(description):
                return keys
        return {}

    def _keys_of(self, description: str) -> dict[str, jwt.PyJWK]:
        try:
            document = self.load(description)
            if document["issuer"] != self.issuer:
                return {}
            found = self.load(issuer_url(document["jwks_uri"]))["keys"]
            usable = [key for key in found if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP")]
            return {str(key.get("kid", "")): jwt.PyJWK(key) for key in usable}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
            return {}


def _fits(algorithm: str, key: jwt.PyJWK) -> bool:
    family = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}.get(key.key_type or "", ("-",))
    return algorithm.startswith(family)


def _known(claims: dict[str, Any]) -> Known | None:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 128 or not subject.isprintable():
        return None
    said = claims.get("scope", claims.get("scp", ""))
    words = said.split() if isinstance(said, str) else [w for w in said if isinstance(w, str)]
    scopes = tuple(scope for scope in SCOPES if scope in words or f"{SCOPED}{scope}" in words)
    return Known(f"{FOREIGN}{subject}", scopes or ("none",))  # none of our scopes is no right at all, not all rights


def described(issuer: str) -> Sequence[str]:
    """Where an issuer describes itself: OpenID Connect Discovery, RFC 8414 (its path comes last), and both at once."""
    parts = urlsplit(issuer)
    origin, well_known = f"{parts.scheme}://{parts.netloc}", "/.well-known/"
    ways = [
        f"{issuer}{well_known}openid-configuration",
        f"{origin}{well_known}oauth-authorization-server{parts.path}",
        f"{origin}{well_known}openid-configuration{parts.path}",
    ]
    return list(dict.fromkeys(ways))
