"""`plenum doctor`: looks at this machine's Plenum as a careful colleague would, and says what to do.

A check is a function from a world to diagnoses; capabilities add theirs to `CHECKS`. Looks only: nothing is changed, no
paid call is made.
"""

import platform
import sys
from collections.abc import Iterator, Sequence

from .config import ConfigFault, Loaded
from .config.world import World
from .diagnosis import Check, Diagnosis
from .examined import configured
from .seats import Seat, seats
from .security import checks, environment
from .security.keys import opened

PROBE = bytes(64 << 10)  # about what one booking may need


async def examine(world: World) -> Sequence[Diagnosis]:
    """Every diagnosis, in the order a newcomer would ask. A broken configuration ends it early."""
    about = Diagnosis(
        "ok", "python", f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    )
    try:
        loaded = configured(world)
    except ConfigFault as fault:
        faults = [Diagnosis("fault", "configuration", str(f), "Mend this line.") for f in fault.findings]
        return [about, *faults]
    found = [about, *_configuration(loaded)]
    for check in CHECKS:
        found += await check(world, loaded)
    return found


def _configuration(loaded: Loaded) -> Iterator[Diagnosis]:
    files = ", ".join(str(file) for file in loaded.files) or "no file; defaults and key variables"
    yield Diagnosis("ok", "configuration", files)
    for warning in loaded.warnings:
        yield Diagnosis("warning", "configuration", warning, "plenum config trust")
    for name, table in loaded.config.providers.table.items():
        if table.api_key:
            yield Diagnosis(
                "warning", "keys", f"the key of {name} stands in clear in the configuration", f"plenum keys set {name}"
            )


async def _providers(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    del world
    found = [_seat(seat) for seat in seats(loaded.config, loaded.environment, opened(loaded))]
    if loaded.config.providers.auto:
        found += await _local(frozenset(loaded.config.providers.table))
    return found or [
        Diagnosis(
            "fault",
            "providers",
            "no provider is configured, no key variable is set, and no local engine answers",
            "Set one (for example OPENAI_API_KEY), start a local engine (for example Ollama), or try `plenum demo`.",
        )
    ]


async def _local(taken: frozenset[str]) -> list[Diagnosis]:
    from providers.http import Http

    from .engines import engines
    from .roster import Wires

    async with Http() as http:
        found = await engines(Wires(http), taken)
        return [
            Diagnosis("ok", "providers", f"{roster.seat.name} runs here with {len(tuple(roster.deployments()))} models")
            for roster in found
        ]


def _seat(seat: Seat) -> Diagnosis:
    if seat.needs_key and seat.key() is None:
        return Diagnosis("warning", "providers", f"{seat.name} has no key", f"plenum keys set {seat.name}")
    return Diagnosis("ok", "providers", f"{seat.name} ({seat.dialect})")


async def _sqlite(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    del world, loaded
    import apsw

    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < (3, 51, 3):
        fix = "pip install --upgrade apsw"
        return [Diagnosis("fault", "store", f"SQLite {version} can corrupt a file that processes share", fix)]
    return [Diagnosis("ok", "store", f"SQLite {version}")]


async def _memory(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    del loaded
    try:
        world.folders.data.mkdir(parents=True, exist_ok=True)
        probe = world.folders.data / ".writable"
        try:
            probe.write_bytes(PROBE)  # a full disk takes an empty file
        finally:
            probe.unlink(missing_ok=True)
    except OSError as fault:
        fix = "Make the folder writable, free some space there, or set [store] url."
        return [Diagnosis("fault", "store", f"the data folder cannot be written ({fault.strerror})", fix)]
    return [Diagnosis("ok", "store", "the data folder is writable")]


async def _upstreams(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    del world
    from .context.examine import examined

    return [Diagnosis(finding.level, "context", finding.message, finding.fix) for finding in examined(loaded)]


CHECKS: list[Check] = [
    _providers,
    _sqlite,
    _memory,
    checks.keys_at_rest,
    checks.private_files,
    environment.started_by_itself,
    environment.as_installed,
    _upstreams,
]


def hopeless(found: Sequence[Diagnosis]) -> bool:
    """Whether nothing can work: a fault in configuration or store, or nobody to ask."""
    return any(diagnosis.level == "fault" for diagnosis in found)
