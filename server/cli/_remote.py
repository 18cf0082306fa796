"""A running `plenum serve --http` as the terminal sees it: `/api` with the token. Not a command."""

import json
import os
import urllib.error
import urllib.request
from typing import Any, cast

from server.config.environment import clean

from . import Exit

URL = "http://127.0.0.1:8931"
STATUSES = {400: 2, 401: 2, 403: 6}


def call(base: str, path: str, body: Any = None) -> dict[str, Any]:
    """What the server answers to a GET, or to a POST of `body`. Raises Exit with what to do."""
    token = clean(os.environ.get("PLENUM_TOKEN"))
    if token is None:
        raise Exit(2, "Set PLENUM_TOKEN to a bearer token of that server; it prints one when it starts without any.")
    if not base.startswith(("http://", "https://")):
        raise Exit(2, f"--url takes an address such as {URL}.")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base.rstrip("/") + path, data, headers)  # noqa: S310 - http and https only, above
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - the same
            return cast("dict[str, Any]", json.load(answer))
    except urllib.error.HTTPError as refused:
        raise Exit(STATUSES.get(refused.code, 1), f"{base} answered {refused.code}: {_why(refused)}") from None
    except (OSError, ValueError):
        raise Exit(2, f"No Plenum answers at {base}. Start one with `plenum serve --http 127.0.0.1:8931`.") from None


def _why(refused: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(refused)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "no reason was given"
