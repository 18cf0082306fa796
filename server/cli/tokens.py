"""`plenum tokens create | list | revoke`: virtual keys for callers over HTTP. A token is shown once, when it is made."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer

from routing.store.tokens import Token
from server import settings
from server.config import Loaded
from server.config.world import world
from server.security.evidence import SHELL, happening
from server.security.tokens import NAME, SCOPES, digest, fresh

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    group = typer.Typer(no_args_is_help=True, help="Virtual keys: who may call over HTTP, what, how much.")
    app.add_typer(group, name="tokens")
    group.command("create", help="Make a token and print it, this once.")(create)
    group.command("list", help="Who has a token, and what each may.")(show)
    group.command("revoke", help="End a token at once.")(revoke)


def create(
    ctx: typer.Context,
    name: str,
    scope: Annotated[list[str] | None, typer.Option(help="read, generate, admin; repeatable. Omitted: all.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Glob on provider/model; repeatable. Omitted: all.")] = None,
    daily_usd: Annotated[float | None, typer.Option(min=0)] = None,
    monthly_usd: Annotated[float | None, typer.Option(min=0)] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Questions a minute, per server process.")] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="How long it is valid. Omitted: until revoked.")] = None,
) -> None:
    """Create."""
    common: Common = ctx.obj
    secret, now = fresh(), time.time()
    token = Token(
        name,
        digest(secret),
        tuple(_scopes(scope or [])),
        tuple(_patterns(model or [])),
        daily_usd,
        monthly_usd,
        rpm,
        now,
        None if days is None else now + days * 86_400,
    )
    if not NAME.fullmatch(name):
        raise Exit(2, f"{name!r} is no name: letters, digits and . _ - @, at most 64.")
    if not anyio.run(_created, common, token):
        raise Exit(2, f"There is a valid token called {name}. Revoke it first: plenum tokens revoke {name}")
    common.show({**described(token), "token": secret}, secret)


def show(ctx: typer.Context) -> None:
    """List."""
    common: Common = ctx.obj
    rows = [described(token) for token in anyio.run(_all, common)]
    text = "\n".join(
        f"{r['name']}  {r['state']}  scopes: {', '.join(r['scopes']) or 'all'}  models: {', '.join(r['models']) or 'all'}"
        f"{_limits(r)}"
        for r in rows
    )
    common.show({"tokens": rows}, text or "There are no tokens: `plenum tokens create NAME`.")


def revoke(ctx: typer.Context, name: str) -> None:
    """End."""
    common: Common = ctx.obj
    if not anyio.run(_revoked, common, name):
        raise Exit(2, f"There is no valid token called {name}. `plenum tokens list` shows those that are.")
    common.show({"revoked": name}, f"Revoked: {name}")


def described(token: Token) -> dict[str, Any]:
    """A token, without what opens anything."""
    state = "valid" if token.valid(time.time()) else "revoked" if token.revoked is not None else "expired"
    return {
        "name": token.name,
        "state": state,
        "scopes": list(token.scopes),
        "models": list(token.models),
        "daily_usd": token.daily_usd,
        "monthly_usd": token.monthly_usd,
        "rpm": token.rpm,
        "created": _day(token.created),
        "expires": None if token.expires is None else _day(token.expires),
    }


def _limits(row: dict[str, Any]) -> str:
    told = {"daily_usd": "${:g} a day", "monthly_usd": "${:g} a month", "rpm": "{} a minute", "expires": "until {}"}
    words = [text.format(row[key]) for key, text in told.items() if row[key] is not None]
    return f"  {', '.join(words)}" if words else ""


def _scopes(said: list[str]) -> list[str]:
    for scope in said:
        if scope not in SCOPES:
            raise Exit(2, f"{scope!r} is no scope; there are {', '.join(SCOPES)}.")
    return list(dict.fromkeys(said))


def _patterns(said: list[str]) -> list[str]:
    for pattern in said:
        if not pattern or any(c.isspace() for c in pattern):
            raise Exit(2, f"{pattern!r} is no pattern of provider/model.")
    return said


async def _created(common: Common, token: Token) -> bool:
    loaded = world(common.config).load()
    async with settings.store(loaded.config, loaded.folders) as store:
        kept = await store.tokens.put(token).wait()
        if kept:
            told = {k: v for k, v in described(token).items() if k not in ("name", "state", "created")}
            await store.audit.append(happening(SHELL, "token created", token.name, **told)).wait()
        return kept


async def _revoked(common: Common, name: str) -> bool:
    loaded = world(common.config).load()
    async with settings.store(loaded.config, loaded.folders) as store:
        ended = await store.tokens.revoke(name, time.time()).wait()
        if ended:
            await store.audit.append(happening(SHELL, "token revoked", name)).wait()
        return ended


async def _all(common: Common) -> list[Token]:
    return await _kept(world(common.config).load())


async def virtual(loaded: Loaded) -> bool:
    """Whether anybody has a valid token."""
    return any(token.valid(time.time()) for token in await _kept(loaded))


async def _kept(loaded: Loaded) -> list[Token]:
    async with settings.store(loaded.config, loaded.folders) as store:
        return list(store.tokens.all())


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
