"""Google Cloud KMS as the vault's key-encryption key, over its HTTP API (cloud.google.com/kms/docs/reference/rest, v1).

Blocking, and called from worker threads only. Checksums as that page asks: what was damaged on the way is refused.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .faults import VaultFault

SCOPE_HOST = "https://cloudkms.googleapis.com/"
METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
TIMEOUT_S = 10.0
LARGEST = 1 << 16  # bytes of an answer
Credentials = Callable[[], str]  # a fresh bearer token


class GoogleKms:
    """Wraps data keys with one CryptoKey. `name` is its URL, https (http on loopback, for tests and emulators)."""

    def __init__(self, name: str, credentials: Credentials) -> None:
        parts = urlsplit(name)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not (parts.scheme == "https" or local) or "/cryptoKeys/" not in parts.path or parts.username:
            raise VaultFault(
                "[security] kms names no CryptoKey.",
                "It looks like https://cloudkms.googleapis.com/v1/projects/P/locations/L/keyRings/R/cryptoKeys/K",
            )
        self._name = name
        self._credentials = credentials

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """`encrypt` with additional authenticated data."""
        body = {"plaintext": secret, "additionalAuthenticatedData": context}
        answer = self._call("encrypt", body)
        if answer.get("verifiedPlaintextCrc32c") is not True:
            raise _broken()
        return _checked(answer, "ciphertext")

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """`decrypt` with the same data."""
        return _checked(
            self._call("decrypt", {"ciphertext": wrapped, "additionalAuthenticatedData": context}), "plaintext"
        )

    def _call(self, verb: str, fields: Mapping[str, bytes]) -> dict[str, Any]:
        body: dict[str, str] = {}
        for field, value in fields.items():
            body[field] = base64.b64encode(value).decode()
            body[f"{field}Crc32c"] = str(crc32c(value))
        headers = {"Authorization": f"Bearer {self._credentials()}", "Content-Type": "application/json"}
        return _fetch(urllib.request.Request(f"{self._name}:{verb}", json.dumps(body).encode(), headers))  # noqa: S310 - checked above


def _checked(answer: dict[str, Any], field: str) -> bytes:
    try:
        value = base64.b64decode(answer[field], validate=True)
        if int(answer[f"{field}Crc32c"]) != crc32c(value):
            raise _broken()
    except (KeyError, TypeError, ValueError):
        raise _broken() from None
    return value


def _broken() -> VaultFault:
    return VaultFault("The KMS gave an answer that does not hold.", "Try again; if it stays, check [security] kms.")


class _Straight(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Follow nobody: a redirect would carry the bearer token along."""
        del args, more


def _fetch(request: urllib.request.Request) -> dict[str, Any]:
    opener = urllib.request.build_opener(_Straight())
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            found = json.loads(answer.read(LARGEST))
    except urllib.error.HTTPError as refused:
        refused.close()
        raise VaultFault(
            f"The KMS refused ({refused.code}).", "Check the key's name and this account's rights."
        ) from None
    except (OSError, ValueError):
        raise VaultFault("The KMS cannot be reached.", "Check the network and [security] kms.") from None
    if not isinstance(found, dict):
        raise _broken()
    return cast("dict[str, Any]", found)


def credentials(environment: Mapping[str, str]) -> Credentials:
    """From the service account in GOOGLE_APPLICATION_CREDENTIALS, else this machine's own account."""
    file = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    return (lambda: signed(Path(file), time.time())) if file else _from_metadata


def signed(file: Path, now: float) -> str:
    """A token the service account signs itself; Google's APIs take it without an exchange. Raises VaultFault."""
    import jwt

    try:
        account = json.loads(file.read_text("utf-8"))
        mail, key = account["client_email"], account["private_key"]
        claims = {"iss": mail, "sub": mail, "aud": SCOPE_HOST, "iat": int(now), "exp": int(now) + 600}
        return jwt.encode(claims, key, "RS256", {"kid": account.get("private_key_id")})
    except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError):
        hint = "Point GOOGLE_APPLICATION_CREDENTIALS at a service account's JSON key."
        raise VaultFault("The Google credentials cannot be used.", hint) from None


def _from_metadata() -> str:
    request = urllib.request.Request(METADATA, headers={"Metadata-Flavor": "Google"})
    token = _fetch(request).get("access_token")
    if not isinstance(token, str):
        raise _broken()
    return token


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, RFC 3720 appendix B.4), bit by bit: a few dozen bytes, twice a key."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
