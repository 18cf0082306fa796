"""What can be read: models, providers, costs, decisions, answers, context, configuration, state. All of it ours to show.

Everything with an id belongs to the caller who asked; others read "not found". Texts are JSON.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, cast

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from routing.errors import Refusal
from routing.types import NANO, Deployment
from server import VERSION, callers, receipts
from server.house import House, sound
from server.mcp import scrub
from server.tools.list_models import described

PERIODS = ("today", "7d", "30d", "month", "all")
Ctx = Context[Any, Any]


def resources(server: MCPServer[House], house: House) -> None:
    """Add them to `server`."""
    _fixed(server, house)
    _by_name(server, house)
    _by_id(server, house)


def _fixed(server: MCPServer[House], house: House) -> None:
    def fixed(uri: str, title: str, read: Callable[[Any], Awaitable[Any]]) -> None:
        async def text() -> str:
            return await _read(house, read)

        server.resource(uri, name=uri.partition("://")[2], title=title, mime_type="application/json")(text)

    fixed("plenum://models", "Models that can be asked, with prices and state", models)
    fixed("plenum://providers", "Providers and how they do", lambda app: providers(app, callers.only_here()))
    fixed("plenum://context", "Upstream context servers", context)
    fixed("plenum://config", "The configuration, secrets hidden", configuration)
    fixed("plenum://status", "This server's state", lambda app: status(app, house))


def _by_name(server: MCPServer[House], house: House) -> None:
    named = partial(server.resource, mime_type="application/json")

    @named("plenum://models/{provider}/{+model}", name="model", title="One model")
    async def _model(provider: str, model: str) -> str:  # pyright: ignore[reportUnusedFunction]
        return await _read(house, lambda app: one_model(app, provider, model))

    @named("plenum://providers/{name}", name="provider", title="How one provider does")
    async def _provider(name: str, ctx: Ctx) -> str:  # pyright: ignore[reportUnusedFunction]
        return await _read(house, lambda app: one_provider(app, name, callers.only(ctx.request_context)))

    @named("plenum://costs/{period}", name="costs", title="Spending: today, 7d, 30d, month, all")
    async def _costs(period: str, ctx: Ctx) -> str:  # pyright: ignore[reportUnusedFunction]
        return await _read(house, lambda app: spending(app, period, callers.only(ctx.request_context)))


def _by_id(server: MCPServer[House], house: House) -> None:
    named = partial(server.resource, mime_type="application/json")

    @named("plenum://decisions/{id}", name="decision", title="Why this model: the receipt")
    async def _decision(id: str, ctx: Ctx) -> str:  # noqa: A002 # pyright: ignore[reportUnusedFunction]
        return await _read(house, lambda app: decision(app, id, callers.name(ctx.request_context)))

    @named("plenum://answers/{id}", name="answer", title="An answer's full text")
    async def _answer(id: str, ctx: Ctx) -> str:  # noqa: A002 # pyright: ignore[reportUnusedFunction]
        return await _read(house, lambda app: answer(app, id, callers.name(ctx.request_context)))


async def _read(house: House, read: Callable[[Any], Awaitable[Any]]) -> str:
    try:
        found = await read(sound(await house.app()))
    except Refusal as refusal:
        raise ResourceError(f"{refusal.message} {refusal.hint}".strip()) from None
    return json.dumps(scrub.told_tree(found), ensure_ascii=False)


async def models(app: Any) -> Any:
    """Every deployment, described."""
    return {"models": [described(app, deployment) for deployment in app.directory.deployments()]}


async def one_model(app: Any, provider: str, model: str) -> Any:
    """One deployment."""
    every = cast("list[Deployment]", app.directory.deployments())
    for deployment in every:
        if (deployment.provider, deployment.model) == (provider, model):
            return described(app, deployment)
    raise ResourceNotFoundError(_no("model", f"{provider}/{model}", [deployment.name for deployment in every]))


def _no(kind: str, name: str, names: Sequence[str]) -> str:
    meant = get_close_matches(name, names, 1, 0.5)
    return f"There is no {kind} {name} here. " + (
        f"Did you mean {meant[0]}?" if meant else f"plenum://{kind}s lists all."
    )


async def providers(app: Any, caller: str | None = None) -> Any:
    """Every provider in a line, with what this caller spent there, or everybody did."""
    names = dict.fromkeys(deployment.provider for deployment in app.directory.deployments())
    spent = await _spent(app, caller)
    return {"providers": [_provider(app, name, spent) for name in names]}


async def one_provider(app: Any, name: str, caller: str | None = None) -> Any:
    """One provider as the contract has it. Raises ResourceNotFoundError."""
    return _provider(app, name, await _spent(app, caller))


def _provider(app: Any, name: str, spent: Mapping[str, float] | None) -> dict[str, Any]:
    own: list[Deployment] = [d for d in app.directory.deployments() if d.provider == name]
    if not own:
        raise ResourceNotFoundError(_no("provider", name, sorted({d.provider for d in app.directory.deployments()})))
    barriers = app.guard.show() if app.guard is not None else ()
    limiter = app.gate.view(own[0].endpoint) if app.gate is not None else None
    found = _health(app, name, barriers, limiter)
    return {
        "provider": name,
        "models": len(own),
        "status": found.get("status", "healthy" if any(d.status == "available" for d in own) else "unhealthy"),
        **{k: v for k, v in found.items() if k not in ("provider", "status")},
        "breaker": found.get("breaker") or _worst(barriers, name),
        "limiter": found.get("limiter") or _plain(limiter),
        "spend": {} if spent is None else {"today_usd": round(spent.get(name, 0.0), 9)},
    }


def _health(app: Any, name: str, barriers: Any, limiter: Any) -> dict[str, Any]:
    found = asdict(app.health.provider(name, barriers, limiter)) if app.health is not None else {}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def _worst(barriers: Any, name: str) -> str:
    states = {barrier.state for barrier in barriers if barrier.provider == name}
    return next((state for state in ("open", "half_open") if state in states), "closed")


async def _spent(app: Any, caller: str | None) -> Mapping[str, float] | None:
    """USD of today by provider, of one caller or of all."""
    if app.costs is None:
        return None
    spent: dict[str, float] = {}
    for line in await app.costs.lines(replace(app.costs.period("today"), caller=caller)):
        spent[line.provider] = spent.get(line.provider, 0.0) + line.nano / NANO
    return spent


async def spending(app: Any, period: str, caller: str | None = None) -> Any:
    """The `costs` tool's report of a period."""
    from server.tools.costs import Costs
    from server.tools.costs import spending as report

    if period not in PERIODS or app.costs is None:
        raise ResourceNotFoundError(f"Costs are kept for {', '.join(PERIODS)}.")
    return await report(app.costs, Costs.model_validate({"period": period}), caller)


async def decision(app: Any, id: str, caller: str) -> Any:  # noqa: A002
    """The receipt of the caller's own ask."""
    found = await app.journal.receipt(id, caller) if app.journal is not None else None
    if found is None:
        raise ResourceNotFoundError("There is no decision with this id of yours.")
    return receipts.as_json(found)


async def answer(app: Any, id: str, caller: str) -> Any:  # noqa: A002
    """The text of the caller's own answer; of a fuse the whole result, every member's text included."""
    from routing.fusion.result import document

    found = await app.journal.answer(id, caller) if app.journal is not None else None
    if found is None:
        raise ResourceNotFoundError("There is no answer with this id of yours, or its text was not kept.")
    if (fused := document(found)) is not None:
        return {**fused, "id": id}
    calls = [asdict(call) for call in found.tool_calls]
    return {
        "id": id,
        "answer": found.text,
        "finish_reason": found.finish_reason,
        **({"tool_calls": calls} if calls else {}),
    }


async def context(app: Any) -> Any:
    """The upstream servers and how they do."""
    if app.context is None:
        return {"servers": []}
    return {"servers": [_plain(server) for server in app.context.view()]}


async def configuration(app: Any) -> Any:
    """What is in force and differs from the defaults."""
    from server.config.shown import outward

    return outward(app.config)


async def status(app: Any, house: House) -> Any:
    """The process at a glance."""
    deployments = app.directory.deployments()
    usable = sum(deployment.status in ("available", "degraded") for deployment in deployments)
    return {
        "version": VERSION,
        "models": len(deployments),
        "usable": usable,
        "running": len(house.jobs),
        "admission": _plain(app.admission.view()) if app.admission is not None else None,
        "warnings": list(app.warnings),
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value
