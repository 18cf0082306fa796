"""Who calls, and how long its host waits: the token's name, else what the client calls itself."""

from collections.abc import Sequence
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import ServerRequestContext

from server.mcp import tasks

# Hosts that wait longer than 60 s for a tool (measured: guide hosts-and-ux §5). All others are taken to cut at 60 s.
PATIENT = ("claude-code", "codex", "gemini-cli", "goose", "visual studio code", "vscode", "plenum")
SHORT_S, LONG_S, FOREVER_S = 50.0, 240.0, 86_400.0


def name(request: ServerRequestContext[Any, Any]) -> str:
    """The caller's name: of its token over HTTP, else what its client calls itself."""
    scope = getattr(request.request, "scope", None)
    if scope is not None and (caller := scope.get("plenum.caller")):
        return str(caller)
    return "".join(c for c in client(request) if c.isalnum() or c in " ._-/@")[:64].strip() or "local"


def only(request: ServerRequestContext[Any, Any]) -> str | None:
    """Whose costs may be told: the caller's own where its token has scopes and `admin` is none of them, else everybody's."""
    scope: dict[str, Any] = getattr(request.request, "scope", None) or {}
    return bounded(scope.get("plenum.principal"))


def bounded(principal: Any) -> str | None:
    """The name of one who sees only its own; None of one who sees all."""
    return None if principal is None else _own(principal.name, principal.scopes)


def only_here() -> str | None:
    """As `only`, for what the SDK gives no context: of whom it takes to be acting now."""
    user = get_access_token()
    return None if user is None else _own(user.client_id, user.scopes)


def _own(name: str, scopes: Sequence[str]) -> str | None:
    return name if scopes and "admin" not in scopes else None


def client(request: ServerRequestContext[Any, Any]) -> str:
    """What the client calls itself; empty when it does not say."""
    params = request.session.client_params
    return params.client_info.name if params is not None else ""


def patience_s(request: ServerRequestContext[Any, Any]) -> float:
    """Seconds until this host may give up on a call; progress does not extend it."""
    if tasks.current.get(None) is not None:
        return FOREVER_S  # nobody waits: the handle is given already
    host = client(request).lower()
    return LONG_S if any(host.startswith(known) for known in PATIENT) else SHORT_S
