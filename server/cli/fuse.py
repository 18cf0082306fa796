"""`plenum fuse` and `plenum feedback`: several models, one answer; and whether an answer was right."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from routing.events import Progressed
from routing.fusion.wording import page
from server import receipts
from server.app import App
from server.tools.fuse import Fuse, ask_of, whole

from . import Common, Exit
from .ask import CALLER, accepted, opened, read_schema


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    app.command("fuse", help="Ask several models: one answer, how sure, and who dissents. `-` reads the prompt.")(fuse)
    app.command("feedback", help="Say whether an answer was right; confidences and weights learn from it.")(feedback)


def fuse(
    ctx: typer.Context,
    prompt: str,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="A name; repeatable. Default: auto.")] = None,
    answer: Annotated[str, typer.Option(help="auto, choice, number, math, literal, json, label, code, text.")] = "auto",
    choice: Annotated[list[str] | None, typer.Option(help="An option or label; repeatable.")] = None,
    schema: Annotated[Path | None, typer.Option(help="A JSON Schema the answer must meet.")] = None,
    method: Annotated[str, typer.Option(help="auto or a method's name.")] = "auto",
    effort: Annotated[str | None, typer.Option(help="quick, balanced or thorough.")] = None,
    min_agreement: Annotated[float, typer.Option(min=0, max=1)] = 0.66,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    on_low: Annotated[str, typer.Option(help="flag, escalate or abstain.")] = "flag",
    judge: Annotated[str, typer.Option(help="host, auto or a model.")] = "",
    system: str = "",
    context: Annotated[list[str] | None, typer.Option(help="Upstream names, auto or none.")] = None,
    conversation: str = "",
    max_cost_usd: Annotated[float | None, typer.Option(min=0)] = None,
    max_latency_s: Annotated[float | None, typer.Option(min=0.1)] = None,
    max_calls: Annotated[int | None, typer.Option(min=1, max=50)] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say who would be asked; ask nobody.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every member's whole text.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers only.")] = False,
) -> None:
    """Fuse. The options are the tool's arguments; typer reads them, so they are taken from the context."""
    del answer, method, effort, min_agreement, min_confidence, on_low, judge, system, conversation
    del max_cost_usd, max_latency_s, max_calls, explain
    apart = ("model", "choice", "full", "demo", "schema", "prompt", "context")
    said = {k: v for k, v in ctx.params.items() if k not in apart and v is not None}
    said |= {"prompt": sys.stdin.read() if prompt == "-" else prompt, "models": model or ["auto"]}
    said |= {"choices": choice or [], "schema": read_schema(schema) if schema else {}, "context": context or ["auto"]}
    run_fuse({**said, "detail": "full" if full else "summary"}, ctx.obj, demo=demo)


def run_fuse(said: dict[str, Any], common: Common, *, demo: bool) -> None:
    """Fuse as told; the answer to stdout, the line below it and the reasons to stderr."""
    arguments = accepted(Fuse, said)
    ask = whole(arguments, ask_of(arguments, CALLER))

    def _tell(progress: Progressed) -> None:
        if progress.message and sys.stderr.isatty():
            print(f"[{progress.message}]", file=sys.stderr)

    async def _fused(app: App) -> None:
        result = await (app.fusion.explain(ask) if arguments.explain else app.fusion.fuse(ask, _tell))
        full = arguments.detail == "full"
        document = {**result.told(full=full), "receipt": receipts.as_json(result.receipt)}
        if common.as_json:
            common.show(document, "")
            return
        shown = page(result, full=full)
        at = shown.rfind("— ")
        print(shown[:at].rstrip() or ("(nobody was asked)" if arguments.explain else "(no answer)"))
        print(shown[at:], file=sys.stderr)

    anyio.run(opened, common, _fused, demo)


def feedback(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(help="The id under an answer.")],  # noqa: A002 - the command's own word
    right: Annotated[bool, typer.Option("--right/--wrong", help="Was the answer right?")],
    demo: Annotated[bool, typer.Option("--demo", hidden=True)] = False,
) -> None:
    """Mark an answer."""
    common: Common = ctx.obj

    async def _marked(app: App) -> dict[str, Any]:
        return await marked(app, id, right=right)

    found = anyio.run(opened, common, _marked, demo)
    common.show(found, json.dumps(found["mark"]) if found.get("mark") and common.as_json else found["summary"])


async def marked(app: App, id: str, *, right: bool) -> dict[str, Any]:  # noqa: A002
    """Keep the mark; what it taught. Raises Exit(2) where nobody knows the id."""
    from routing.fusion.feedback import mark
    from routing.fusion.panel import identity

    caller = await app.store.marks.asker(id)
    receipt = await app.journal.receipt(id, caller) if caller and app.journal else None
    if receipt is None or app.journal is None:
        raise Exit(2, f"No answer has the id {id!r}. It stands at the end of the line under an answer.")
    answer = await app.journal.answer(id, caller)
    names = {deployment.name: identity(deployment) for deployment in app.directory.deployments()}
    kept = mark(receipt, answer, right=right, at=time.time(), identity=names)
    await app.store.marks.keep(kept).wait()
    count = len(await app.store.marks.all())
    word = "right" if right else "wrong"
    return {
        "id": id,
        "right": right,
        "marks": count,
        "summary": f"Noted: {id} was {word}. {count} {'mark' if count == 1 else 'marks'} so far.",
    }
