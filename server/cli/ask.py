"""`plenum ask` and `plenum models`: the tools from a shell. The answer streams to stdout, the receipt goes to stderr."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
import typer
from pydantic import ValidationError

from routing.types import Ask, Receipt
from server import receipts
from server.app import App, opener
from server.complaints import complaints
from server.config.world import world
from server.examined import configured
from server.mcp.exact import Arguments
from server.tools.generate import Generate, ask_of, closing, decided, structure
from server.tools.list_models import ListModels, listing

from . import Common, Exit

CALLER = "shell"
STARTING_S = 10.0  # a command finds no upstream running: those it names may start
T = TypeVar("T")
A = TypeVar("A", bound=Arguments)


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    app.command("ask", help="Ask one model; Plenum chooses it unless told. `-` reads the prompt from stdin.")(ask)
    app.command("models", help="Who can be asked, at what price, in what state.")(models)


def ask(
    ctx: typer.Context,
    prompt: str,
    model: Annotated[str, typer.Option(help="provider/model, provider/, a bare name, a group, auto.")] = "auto",
    strategy: str = "",
    task: str = "",
    system: str = "",
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    schema: Annotated[Path | None, typer.Option(help="A JSON Schema the answer must meet.")] = None,
    image: Annotated[list[str] | None, typer.Option(help="https or data: URL; repeatable.")] = None,
    context: Annotated[list[str] | None, typer.Option(help="Upstream names, auto or none.")] = None,
    conversation: str = "",
    max_cost_usd: Annotated[float | None, typer.Option(min=0)] = None,
    max_latency_s: Annotated[float | None, typer.Option(min=0.1)] = None,
    cache: Annotated[str, typer.Option(help="use, refresh or off.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Decide and price; ask nobody.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers only.")] = False,
) -> None:
    """Ask one model. The options are the tool's arguments; typer reads them, so they are taken from the context."""
    del model, strategy, task, system, max_tokens, temperature, conversation, max_cost_usd, max_latency_s, explain
    said = {k: v for k, v in ctx.params.items() if k not in ("image", "cache", "demo") and v is not None}
    said |= {"prompt": sys.stdin.read() if prompt == "-" else prompt, "images": image or []}
    said |= {"context": context or ["auto"], "options": {"cache": cache or None}}
    run_ask({**said, "schema": read_schema(schema) if schema else {}}, ctx.obj, demo=demo)


def models(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="Part of a name.")] = "",
    provider: str = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    demo: Annotated[bool, typer.Option("--demo")] = False,
) -> None:
    """List who can be asked."""
    common: Common = ctx.obj
    wanted = accepted(ListModels, {"query": query, "provider": provider, "limit": limit})

    async def _listed(app: App) -> dict[str, Any]:
        return listing(app, wanted)

    found = anyio.run(opened, common, _listed, demo)
    common.show(found, table(found))


async def opened(common: Common, work: Callable[[App], Any], demo: bool = False) -> Any:
    """Open the house as configured, let `work` do what it does, close it."""
    async with opener(world(common.config), demo=demo)() as app:
        if app.fault:
            configured(world(common.config))  # raises ConfigFault: a terminal may see file and line
        return await work(app)


def run_ask(said: dict[str, Any], common: Common, *, demo: bool) -> None:
    """Ask as told; print as the terminal wants it."""
    arguments = accepted(Generate, {k: v for k, v in said.items() if v is not None})
    ask = ask_of(arguments, CALLER)

    async def _explained(app: App) -> None:
        receipt = await app.manager.explain(ask)
        common.show(decided(receipt), explanation(receipt))

    async def _whole(app: App) -> None:
        await app.context.settled(ask, STARTING_S)
        result = await app.manager.generate(ask)
        common.show({**structure(result, arguments), "receipt": receipts.as_json(result.receipt)}, "")

    async def _live(app: App) -> None:
        await app.context.settled(ask, STARTING_S)
        await _streamed(app, ask)

    anyio.run(opened, common, _explained if arguments.explain else _whole if common.as_json else _live, demo)


def accepted(model: type[A], said: dict[str, Any]) -> A:
    """The options as the tool's arguments. Raises Exit(2) that names the option."""
    try:
        return model.model_validate(said)
    except ValidationError as fault:
        place, what = complaints(fault, model, said)[0]
        raise Exit(2, f"--{place.rpartition('.')[2].replace('_', '-')} {what}.") from None


async def _streamed(app: App, ask: Ask) -> None:
    if ask.request.schema is not None:  # what must meet a schema is repaired first and shown whole
        result = await app.manager.generate(ask)
        print(result.answer.text)
        print(closing(result.receipt), file=sys.stderr)
        return
    async with app.manager.stream(ask) as stream:
        async for delta in stream:
            if delta.kind == "text":
                print(delta.text, end="", flush=True)
        print()
    print(closing(stream.result.receipt), file=sys.stderr)


def read_schema(file: Path) -> Any:
    """The JSON of this file. Raises Exit(2)."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise Exit(2, f"{file} cannot be read as JSON. Name a file that holds a JSON Schema.") from None


def explanation(receipt: Receipt) -> str:
    """A decision in words: who would be asked in which order, why, and who not."""
    lines = [f"strategy: {receipt.strategy}", f"why: {receipt.reasoning}"]
    lines += [f"  {number}. {name} ({score:.2f})" for number, (name, score) in enumerate(receipt.candidates, 1)]
    if receipt.estimated_cost_usd is not None:
        lines.append(f"at most ${receipt.estimated_cost_usd:.6f}")
    lines += [f"  not {out.deployment.name}: {out.why}" for out in receipt.excluded]
    return "\n".join([*lines, *(f"note: {warning}" for warning in receipt.warnings)])


def table(found: dict[str, Any]) -> str:
    """The models as columns."""
    rows = [("MODEL", "STATUS", "WINDOW", "$IN", "$OUT")]
    for model in found["models"]:
        price = model["price"] or {"input": None, "output": None}
        prices = _usd(price["input"]), _usd(price["output"])
        rows.append((model["id"], model["status"], str(model["context_window"]), *prices))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, found["summary"]])


def _usd(price: float | None) -> str:
    return "?" if price is None else f"{price:g}"
