"""`plenum batch FILE.jsonl`: many requests within limits and one envelope. Results to stdout or a file, progress to stderr."""

import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from routing.batch import Batch, Count, Done
from server.app import App
from server.batching import Bits, Clash, Defaults, Outbox, fresh, lines, name_of, written
from server.house import admitted
from server.tools.generate import money

from . import EXITS, Common, Exit
from .ask import CALLER, opened

Show = Callable[[Count], None]


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("batch", help="Ask every line of a JSONL file; a killed run goes on where it was.")(batch)


def batch(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="One object a line: generate's arguments, and an id of your own.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Append results here instead of stdout.")
    ] = None,
    model: Annotated[str, typer.Option(help="For lines that name none.")] = "",
    system: Annotated[str, typer.Option(help="For lines that have none.")] = "",
    max_cost_usd: Annotated[float | None, typer.Option(min=0, help="For the whole batch.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Lines at a time.")] = 32,
    again: Annotated[bool, typer.Option("--again", help="Also ask again what ended in an error.")] = False,
    anew: Annotated[bool, typer.Option("--fresh", help="Ask everything anew, replay nothing.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers only.")] = False,
) -> None:
    """Run it."""
    defaults = Defaults({key: value for key, value in (("model", model), ("system", system)) if value}, CALLER)
    try:
        name = fresh(name_of(file, defaults)) if anew else name_of(file, defaults)
    except OSError:
        raise Exit(2, f"{file} cannot be read. Name a file with one JSON object a line.") from None

    async def _run(app: App) -> tuple[Count, Sequence[Mapping[str, Any]]]:
        with file.open("rb") as source, _sink(ctx.obj, output, name, again=again) as sink, _progress() as show:
            usd = None if max_cost_usd is None else max(0.0, max_cost_usd - sink.usd)
            job = Batch(sink.batch, app.manager, app.purse, usd, concurrency)

            def _tell(one: Done, count: Count) -> None:
                sink.write(written(one, job.id))
                show(count)

            async with admitted(app, "batch"):
                count = await job.run(lines(source, defaults, sink.done), _tell)
            return count, sink.results if isinstance(sink, _Stdout) else ()

    count, results = anyio.run(opened, ctx.obj, _run, demo)
    if ctx.obj.as_json:
        ctx.obj.show(_document(count, results), "")
    _report(count)


class _Stdout:
    """The output that nothing can be read back from: a second run replays what the first one paid for.

    A line per result; with `--json` they are held back for the one document at the end.
    """

    usd = 0.0

    def __init__(self, batch: str, *, held: bool) -> None:
        self.batch = batch
        self.done = Bits()
        self.results: list[Mapping[str, Any]] = []
        self._held = held

    def write(self, record: Mapping[str, Any]) -> None:
        if self._held:
            self.results.append(record)
        else:
            print(json.dumps(record, ensure_ascii=False), flush=True)


@contextmanager
def _sink(common: Common, output: Path | None, name: str, *, again: bool) -> Generator[Outbox | _Stdout]:
    """Where results go, and what is done already."""
    if output is None:
        yield _Stdout(name, held=common.as_json)
        return
    try:
        outbox = Outbox(output, name, again=again)
    except Clash as clash:
        raise Exit(2, f"{output} is not written to: {clash}. Name another --output, or remove it.") from None
    except OSError:
        raise Exit(2, f"{output} cannot be written. Name another --output.") from None
    try:
        yield outbox
    finally:
        outbox.close()


@contextmanager
def _progress() -> Generator[Show]:
    """A bar where a person watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("0 lines")
        yield lambda count: bar.update(task, description=_words(count))


def _words(count: Count) -> str:
    free = f", {count.repeated} of them at no cost" if count.repeated else ""
    return f"{count.answered} answered{free}, {count.failed} failed, {money(count.usd)}"


def _document(count: Count, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of it; the results themselves where no `--output` holds them."""
    told = {"answered": count.answered, "repeated": count.repeated, "failed": count.failed, "codes": dict(count.codes)}
    return {**told, "cost_usd": round(count.usd, 9), "results": list(results)}


def _report(count: Count) -> None:
    """The last word on stderr; the exit status says whether anything came of it."""
    codes = ", ".join(f"{number} × {code}" for code, number in sorted(count.codes.items()))
    print(_words(count) + (f" ({codes})" if codes else ""), file=sys.stderr)
    if count.stopped is not None:
        words = (
            f"{count.stopped.message}. Lines are left: raise --max-cost-usd or wait, and run the same command again."
        )
        raise Exit(EXITS[count.stopped.code], words)
    if count.failed and not count.answered:
        raise Exit(EXITS.get(max(count.codes, key=lambda code: count.codes[code]), 1))
