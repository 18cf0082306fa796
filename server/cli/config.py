"""`plenum config check | show | schema | trust`: what is in force, where it came from, and what is wrong with it."""

import json
from pathlib import Path

import typer

from server.config import Config, ConfigFault, Loaded
from server.config.load import digest
from server.config.shown import shown
from server.config.world import World, world
from server.examined import configured

from . import Common, Exit


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at the configuration, check it, trust a project's file.")
    app.add_typer(group, name="config")

    @group.command("check", help="Read everything and name every fault with file, key, line and nearest valid key.")
    def _check() -> None:  # pyright: ignore[reportUnusedFunction]
        _checked(common)

    @group.command("show", help="Print what is in force, secrets hidden.")
    def _show() -> None:  # pyright: ignore[reportUnusedFunction]
        document = shown(world(common.config).load().config)
        common.show(document, json.dumps(document, indent=2, ensure_ascii=False))

    @group.command("schema", help="Print the JSON Schema of plenum.toml, for editors.")
    def _schema() -> None:  # pyright: ignore[reportUnusedFunction]
        schema = Config.model_json_schema()
        common.show(schema, json.dumps(schema, indent=2))

    @group.command("trust", help="Let this project's plenum.toml set anything, until its content changes.")
    def _trust(file: Path = Path("plenum.toml")) -> None:  # pyright: ignore[reportUnusedFunction]
        common.show({"trusted": str(file)}, f"Trusted, as it is now: {trust(world(common.config), file)}")


def _checked(common: Common) -> None:
    try:
        loaded = configured(world(common.config))
    except ConfigFault as fault:
        findings = [
            {"file": f.file, "key": f.key, "line": f.line, "message": f.message, "nearest": f.nearest}
            for f in fault.findings
        ]
        common.show({"ok": False, "findings": findings}, str(fault))
        raise Exit(2) from None
    common.show({"ok": True, "files": [str(f) for f in loaded.files], "warnings": list(loaded.warnings)}, _fine(loaded))


def _fine(loaded: Loaded) -> str:
    files = ", ".join(str(f) for f in loaded.files) or "no file: defaults, key variables and local engines"
    return "\n".join([f"The configuration is fine ({files}).", *loaded.warnings])


def trust(here: World, file: Path) -> Path:
    """Record the hash of a project's file. Raises Exit(2) where there is none."""
    if not file.is_file():
        raise Exit(2, f"There is no {file} here. Run this in the project's folder, or name the file.")
    known: dict[str, str] = {}
    if here.folders.trusted.is_file():
        known = json.loads(here.folders.trusted.read_text("utf-8"))
    known[str(file.resolve())] = digest(file)
    here.folders.trusted.parent.mkdir(parents=True, exist_ok=True)
    here.folders.trusted.write_text(json.dumps(known, indent=2), "utf-8")
    return file.resolve()
