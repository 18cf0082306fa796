"""`plenum doctor` and `plenum init`: is everything well here, and how does one begin."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import anyio
import typer

from server.config.world import World, world
from server.doctor import Diagnosis, examine, hopeless

from . import Common, Exit

MARKS = {"ok": "  ok ", "note": "note ", "warning": "warn ", "fault": "FAULT"}
STARTER = """# Plenum's configuration. Every key is optional; `plenum config schema` lists them all.
# Providers whose key variable is set (OPENAI_API_KEY, ANTHROPIC_API_KEY, …) and local engines are found by themselves.

[routing]
strategy = "balanced" # cost | quality | performance | balanced | carbon | cascade

[budget]
daily_usd = 10.0 # nothing is spent beyond this, by all Plenum processes of yours together

# [providers.openai]
# priority = 2            # asked before providers of lower priority
# daily_usd = 5.0

# [providers.my-server]   # anything OpenAI-compatible
# dialect = "openai_chat"
# base_url = "https://llm.example.com/v1"
# api_key_env = "MY_SERVER_KEY"
"""


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""

    @app.command("doctor", help="Examine this machine's Plenum and say what to do.")
    def _doctor() -> None:  # pyright: ignore[reportUnusedFunction]
        found = anyio.run(examine, world(common.config))
        common.show({"findings": [asdict(d) for d in found], "ok": not hopeless(found)}, _report(found))
        if hopeless(found):
            raise Exit(2)

    @app.command("init", help="Write a starter configuration, unless there is one.")
    def _init() -> None:  # pyright: ignore[reportUnusedFunction]
        file = begin(world(common.config))
        common.show({"written": str(file)}, f"Wrote {file}\nNext: plenum doctor")


def _report(found: Sequence[Diagnosis]) -> str:
    return "\n".join(line for d in found for line in _lines(d))


def _lines(diagnosis: Diagnosis) -> list[str]:
    first = f"{MARKS[diagnosis.level]} {diagnosis.topic}: {diagnosis.message}"
    return [first, f"      -> {diagnosis.fix}"] if diagnosis.fix else [first]


def begin(here: World) -> Path:
    """Write the starter file. Raises Exit(2) where one is already: it is never overwritten."""
    file = here.config or here.folders.config / "plenum.toml"
    if file.exists():
        raise Exit(2, f"{file} is there already; nothing was changed. Look at it with `plenum config show`.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(STARTER, "utf-8")
    return file
