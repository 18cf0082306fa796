"""`list_models`: who can be asked, at what price, in what state. From memory; asks nobody."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from providers.catalog.rows import canonical
from providers.types import Capability
from routing.types import Deployment
from server.complaints import near
from server.house import House
from server.mcp.exact import Arguments, Asked, ExactTool, Label, Outcome, Whole, tool

from . import results

_OUTPUT = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "models": {"type": "array", "items": {"type": "object"}},
        "omitted": {"type": "integer"},
    },
    "required": ["summary", "models", "omitted"],
}
LABEL = Label("list_models", "List models", idempotent=True, output=_OUTPUT)
# Best first; within a status the cheapest output first.
_ORDER = ("available", "degraded", "limited", "open", "no_key", "retired")


class ListModels(Arguments):
    """List the models that can be asked, with prices in USD per million tokens, abilities and state."""

    provider: Annotated[str, Field(max_length=100)] = ""
    require: list[Capability] = Field(default_factory=list[Capability], max_length=8)
    max_price: Annotated[float, Field(ge=0, description="USD per million output tokens")] | None = None
    query: Annotated[str, Field(description="Part of a name", max_length=200)] = ""
    limit: Annotated[Whole, Field(ge=1, le=500, description="Default 20")] = 20


def list_models(house: House) -> ExactTool:
    """The tool."""

    async def handle(arguments: ListModels, request: Asked) -> Outcome:
        del request
        app = await house.app()
        return results.data(listing(app, arguments))

    return tool(LABEL, ListModels, handle, results.refused)


def listing(app: Any, arguments: ListModels) -> dict[str, Any]:
    """The models that match, described."""
    known: Sequence[Deployment] = app.directory.deployments()
    states = {d.name: status(app, d) for d in known if _matches(d, arguments)}
    found = sorted((d for d in known if d.name in states), key=lambda d: _rank(d, states[d.name]))
    shown = found[: arguments.limit]
    usable = sum(state in ("available", "degraded") for state in states.values())
    summary = f"{len(found)} models match, {usable} can be asked now."
    if known and not found:
        summary = _nobody(known, arguments)
    elif not known:
        summary = "No model is configured. Run `plenum keys set openai`, start Ollama, or serve with --demo."
    elif len(found) > len(shown):
        summary += f" The first {len(shown)} are shown; narrow with provider, query, require or max_price."
    return {
        "summary": summary,
        "models": [described(app, deployment) for deployment in shown],
        "omitted": len(found) - len(shown),
    }


def _nobody(known: Sequence[Deployment], wanted: ListModels) -> str:
    """Why the list is empty, and what to ask instead."""
    providers, name = (
        sorted({deployment.provider for deployment in known}),
        canonical(wanted.provider.removesuffix("/")),
    )
    if name and name not in providers:
        return f"No provider is named {name!r}{near(name, providers)}."
    fits = [d for d in known if _matches(d, wanted.model_copy(update={"query": ""}))]
    if wanted.query and fits:
        return (
            f"No model's name holds {wanted.query!r}{near(wanted.query, list(dict.fromkeys(d.model for d in fits)))}."
        )
    return "0 models match. Leave out provider, query, require or max_price."


def described(app: Any, deployment: Deployment) -> dict[str, Any]:
    """One deployment as the contract's `models[]` has it."""
    card, price = deployment.card, deployment.price
    return {
        "id": deployment.name,
        "provider": deployment.provider,
        "model": deployment.model,
        "context_window": card.context_window,
        "max_output": card.max_output,
        "capabilities": sorted(card.capabilities),
        "price": price and {"input": price.input, "output": price.output, "cached_input": price.cached_input},
        "quality": card.quality.get("default"),
        "status": status(app, deployment),
        "health": health(app, deployment),
        "simulated": deployment.simulated,
    }


def status(app: Any, deployment: Deployment) -> str:
    """Its state now: as configured, unless it is held back or fails too often."""
    if deployment.status != "available":
        return deployment.status
    held = app.guard.standing(deployment) if app.guard is not None else None
    failing = app.health is not None and app.health.model(deployment.name).degraded
    return held or ("degraded" if failing else "available")


def health(app: Any, deployment: Deployment) -> dict[str, Any]:
    """Latency and success as measured, None where nothing was."""
    seen = app.health.model(deployment.name) if app.health is not None else None
    found = {name: getattr(seen, name, None) for name in ("latency_p50_s", "latency_p95_s", "success_rate")}
    return {name: None if figure is None else round(figure, 4) for name, figure in found.items()}


def _matches(deployment: Deployment, wanted: ListModels) -> bool:
    price = deployment.price.output if deployment.price else 0.0
    return (
        (not wanted.provider or deployment.provider == canonical(wanted.provider.removesuffix("/")))
        and set(wanted.require) <= deployment.card.capabilities
        and (wanted.max_price is None or price <= wanted.max_price)
        and wanted.query.lower() in f"{deployment.name} {deployment.group}".lower()
    )


def _rank(deployment: Deployment, state: str) -> tuple[int, float, str]:
    price = deployment.price.output if deployment.price else float("inf")
    return _ORDER.index(state), price, deployment.name
