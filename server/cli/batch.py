"""`plenum batch FILE.jsonl`: many requests within limits and one envelope. Results to stdout or a file, progress to stderr."""

import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import anyio
import typer

from routing.batch import Batch, Count, Done
from routing.deferred import Deferred
from routing.errors import BudgetExceeded, Refusal
from server.app import App
from server.batching import Bits, Clash, Defaults, Outbox, fresh, lines, name_of, written
from server.config.world import world
from server.deferring import FileSource, JobLog
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
    max_cost_usd: Annotated[float | None, typer.Option(min=0, help="For the whole batch, over all its runs.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Lines at a time.")] = 32,
    again: Annotated[bool, typer.Option("--again", help="Also ask again what ended in an error.")] = False,
    anew: Annotated[bool, typer.Option("--fresh", help="Ask everything anew, replay nothing.")] = False,
    provider_batch: Annotated[
        bool, typer.Option("--provider-batch", help="Cheaper and slower: the providers' own batch endpoints.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Hand in and leave; the same command collects.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop what runs there, collect the rest.")] = False,
    warm: Annotated[str, typer.Option(help="Print nothing; fill the cache of this caller.", metavar="CALLER")] = "",
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers only.")] = False,
) -> None:
    """Run it."""
    defaults = Defaults({k: v for k, v in (("model", model), ("system", system)) if v}, warm or CALLER)
    name = _named(file, defaults, anew=anew)
    place = _sink(ctx.obj, output, name, again=again) if output or not warm else nullcontext(_Silent(name))
    away = (
        Away(not no_wait, cancel, world(ctx.obj.config).folders.data) if provider_batch or cancel or no_wait else None
    )

    async def _run(app: App) -> tuple[Count, Sequence[Mapping[str, Any]]]:
        with file.open("rb") as source, place as sink, _progress() as show:
            job = Job(app, source, defaults, sink, max_cost_usd, show)
            async with admitted(app, "batch"):
                count = await (job.away(away) if away else job.here(concurrency))
            return count, sink.results if isinstance(sink, _Stdout) else ()

    count, results = anyio.run(opened, ctx.obj, _run, demo)
    if ctx.obj.as_json:
        ctx.obj.show(_document(count, results), "")
    _report(count)


def _named(file: Path, defaults: Defaults, *, anew: bool) -> str:
    try:
        file.open("rb").close()
        return fresh(name_of(file, defaults)) if anew else name_of(file, defaults)
    except OSError:  # a folder too
        raise Exit(2, f"{file} cannot be read. Name a file with one JSON object a line.") from None


@dataclass(frozen=True, slots=True)
class Away:
    """By the providers' batch endpoints: whether to stay until all is collected, whether to stop what runs."""

    wait: bool
    stop: bool
    folder: Path


@dataclass(frozen=True, slots=True)
class Job:
    """A batch about to run. `usd` is for all its runs together: the ledger knows what the earlier ones spent."""

    app: App
    source: BinaryIO
    defaults: Defaults
    sink: "Outbox | _Stdout"
    usd: float | None
    show: Show

    async def here(self, concurrency: int) -> Count:
        """Line by line, by ourselves."""
        batch = Batch(self.sink.batch, self.app.manager, self.app.purse, self.usd, concurrency)
        return await batch.run(lines(self.source, self.defaults, self.sink.done), self._tell)

    async def away(self, how: Away) -> Count:
        """By the providers' batch endpoints."""
        app, name = self.app, self.sink.batch
        with _log(how.folder / "batches", name) as log:
            source = FileSource(self.source, self.defaults, self.sink.done, log)
            parts = app.desk, app.recall, app.purse, log, source, self._tell
            deferred = Deferred(name, *parts, usd=self.usd, joins=app.config.cache.enabled)
            return await deferred.run(wait=how.wait, stop=how.stop)

    def _tell(self, one: Done, count: Count) -> None:
        self.sink.write(written(one, self.sink.batch))
        self.show(count)


@contextmanager
def _log(folder: Path, batch: str) -> Generator[JobLog]:
    try:
        log = JobLog(folder, batch)
    except Clash as clash:
        raise Exit(2, f"Nothing is handed in: {clash}. Wait for it, or move the record away.") from None
    try:
        yield log
    finally:
        log.close()


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


class _Silent(_Stdout):
    """Who warms a cache wants no answers."""

    def __init__(self, batch: str) -> None:
        super().__init__(batch, held=True)

    def write(self, record: Mapping[str, Any]) -> None:
        del record


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
    there = f", {sum(count.done_there.values())} done at the providers" if count.done_there else ""
    return f"{count.answered} answered{free}, {count.failed} failed, {money(count.usd)}{there}"


def _document(count: Count, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What came of it; the results themselves where no `--output` holds them."""
    told = {"answered": count.answered, "repeated": count.repeated, "failed": count.failed, "codes": dict(count.codes)}
    left = {"unpaid": count.unpaid, "waiting": count.waiting}
    return {**told, **left, "cost_usd": round(count.usd, 9), "results": list(results)}


def _report(count: Count) -> None:
    """The last word on stderr; the exit status says whether anything came of it."""
    codes = ", ".join(f"{number} × {code}" for code, number in sorted(count.codes.items()))
    print(_words(count) + (f" ({codes})" if codes else ""), file=sys.stderr)
    if count.waiting:
        words = "Run the same command again to collect them; --cancel stops them."
        print(f"{count.waiting} lines wait at the providers. {words}", file=sys.stderr)
    if stopped := count.stopped or count.poor:
        raise Exit(EXITS[stopped.code], _left(count, stopped))
    if count.failed and not count.answered:
        raise Exit(EXITS.get(max(count.codes, key=lambda code: count.codes[code]), 1))


def _left(count: Count, stopped: Refusal) -> str:
    """Why lines are left, and how to go on."""
    if not isinstance(stopped, BudgetExceeded):
        return f"{stopped.message}. {stopped.hint}"
    unread = " (and whatever comes after them)" if count.stopped else ""
    return (
        f"{stopped.message} {count.unpaid} lines could not be paid{unread}: they are not in the output. Raise "
        "--max-cost-usd or the budget, or wait until it is renewed, and run the same command again."
    )
