"""`plenum dashboard`: the page in a browser, served on loopback until Ctrl-C, or as one file with `--export`."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer

from server.app import opener
from server.config.world import world

from . import Common, Exit
from .ask import opened


def register(app: typer.Typer, common: Common) -> None:
    """Add the command."""
    del common
    app.command("dashboard", help="Spending, budgets, health and decisions on one page.")(dashboard)


def dashboard(
    ctx: typer.Context,
    export: Annotated[Path | None, typer.Option(help="Write one HTML file that needs no server.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it.")] = True,
    demo: Annotated[bool, typer.Option("--demo")] = False,
) -> None:
    """Show what this user's ledger holds, of all Plenum processes. Health and breakers are those of one process."""
    common: Common = ctx.obj
    if export is not None or common.as_json:
        facts = anyio.run(opened, common, _facts, demo)
        if export is None:
            common.show(facts, "")
        else:
            common.show({"written": str(export)}, _written(export, facts))
        return
    _serve(common, port, demo=demo, browser=browser)


async def _facts(app: Any) -> dict[str, Any]:
    from server.page.facts import everything

    return await everything(app)


def _written(file: Path, facts: dict[str, Any]) -> str:
    from server.page.html import exported

    try:
        file.write_text(exported(facts), "utf-8")
    except OSError:
        raise Exit(2, f"{file} cannot be written. Name a file in a folder that exists.") from None
    return f"Written to {file}; it holds callers' names and costs, so mind who gets it."


def _serve(common: Common, port: int, *, demo: bool, browser: bool) -> None:
    from server.http.link import Link
    from server.http.serve import Listen, bound, polite

    here = world(common.config)
    here.load()  # a terminal may see what is wrong
    listening = bound("127.0.0.1", port)
    port = listening.getsockname()[1]
    link = Link(port)
    url = f"http://127.0.0.1:{port}{link.path}"
    sys.stderr.write(f"{url}\nOpens once. Ctrl-C ends it.\n")
    if browser:
        webbrowser.open(url)
    anyio.run(polite(opener(here, demo=demo), Listen("127.0.0.1", port, link=link)).serve, [listening])
