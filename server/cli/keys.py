"""`plenum keys set | list | rotate | remove | rekey`: the vault from a shell. A key is never an argument: `ps` shows those."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from providers.catalog import canonical, row
from server.config import Loaded
from server.config.environment import clean
from server.config.world import world
from server.seats import address, origin
from server.security.evidence import note
from server.security.faults import VaultFault
from server.security.keys import vault
from server.security.shapes import doubt
from server.security.vault import GRACE_S, REMIND_S, Entry, Vault

from . import Common, Exit

STDIN = Annotated[bool, typer.Option("--stdin", help="Read the key from standard input.")]
ORIGIN = Annotated[str, typer.Option("--origin", help="The only address it may go to, where no configuration says.")]
LONGEST = 8192


def register(app: typer.Typer, common: Common) -> None:
    """Add the commands."""
    del common
    group = typer.Typer(no_args_is_help=True, help="Keys of providers, sealed on this machine.")
    app.add_typer(group, name="keys")
    group.command("set", help="Store a provider's key: hidden prompt, --stdin, or --from-env for all that are set.")(
        put
    )
    group.command("list", help="Which keys are stored: for whom, since when. Never the keys.")(show)
    group.command("rotate", help="Store a new key; the old one stays for 7 days in case the new one is refused.")(
        rotate
    )
    group.command("remove", help="Forget a provider's keys.")(remove)
    group.command("rekey", help="Seal every key under a new key-encryption key.")(rekey)


def put(
    ctx: typer.Context,
    provider: Annotated[str, typer.Argument()] = "",
    stdin: STDIN = False,
    from_env: Annotated[bool, typer.Option("--from-env", help="Take it from its well-known variable.")] = False,
    origin: ORIGIN = "",
) -> None:
    """Store keys."""
    common: Common = ctx.obj
    loaded = world(common.config).load()
    if from_env:
        found = _from_environment(loaded, provider)
    elif provider:
        found = {provider: _read(provider, stdin=stdin)}
    else:
        raise Exit(2, "Name a provider: `plenum keys set openai`, or take all with --from-env.")
    _tell(common, [_kept(loaded, name, key, origin) for name, key in found.items()])


def rotate(ctx: typer.Context, provider: str, stdin: STDIN = False, origin: ORIGIN = "") -> None:
    """Store a newer key."""
    common: Common = ctx.obj
    loaded = world(common.config).load()
    _tell(common, [_kept(loaded, provider, _read(provider, stdin=stdin), origin, rotated=True)])


def show(ctx: typer.Context) -> None:
    """List what is stored."""
    common: Common = ctx.obj
    safe = vault(world(common.config).load())
    entries, lock = _blocking(safe.entries), _blocking(safe.lock)
    rows = [described(entry) for entry in entries]
    place = {"kms": "a KMS", "keyring": "the OS keyring", "passphrase": "a passphrase", "file": "a file beside it"}
    head = f"The vault opens with {place[lock.kind]}." if lock else "No key is stored: `plenum keys set PROVIDER`."
    lines = [
        f"{r['provider']}  v{r['version']}  {r['origin'] or '(no address)'}  {r['created']}  {r['state']}" for r in rows
    ]
    common.show({"lock": lock.kind if lock else None, "keys": rows}, "\n".join([head, *lines]))


def remove(ctx: typer.Context, provider: str) -> None:
    """Forget."""
    common: Common = ctx.obj
    loaded = world(common.config).load()
    count = _blocking(vault(loaded).remove, canonical(provider))
    if not count:
        raise Exit(2, f"No key of {provider} is stored. `plenum keys list` shows those that are.")
    note(loaded, "key removed", canonical(provider))
    common.show(
        {"removed": count, "provider": canonical(provider)}, f"Removed {count} key(s) of {canonical(provider)}."
    )


def rekey(ctx: typer.Context) -> None:
    """Change what the vault opens with."""
    common: Common = ctx.obj
    loaded = world(common.config).load()
    lock = _blocking(vault(loaded).rekey)
    note(loaded, "vault rekeyed", lock.kind)
    common.show({"lock": lock.kind}, f"Every key is sealed anew; the vault opens with: {lock.kind}.")


def described(entry: Entry) -> dict[str, Any]:
    """An entry, without its key."""
    age = time.time() - entry.created
    state = "in force" if entry.retired is None else "replaced"
    if entry.refused:
        state = "refused by its provider"
    elif entry.retired is not None and entry.usable(time.time()):
        state = f"replaced, usable until {_day(entry.retired + GRACE_S)}"
    elif age > REMIND_S and entry.retired is None:
        state = f"{age / 86400:.0f} days old: plenum keys rotate {entry.provider}"
    return {
        "provider": entry.provider,
        "origin": entry.origin,
        "version": entry.version,
        "created": _day(entry.created),
        "state": state,
    }


def _kept(loaded: Loaded, provider: str, key: str, said: str, *, rotated: bool = False) -> dict[str, Any]:
    name = canonical(provider)
    place = origin(said) if said else address(name, loaded.config, loaded.environment)
    safe: Vault = vault(loaded)
    entry: Entry = _blocking(safe.rotate if rotated else safe.set, name, place or "", key)
    note(loaded, "key rotated" if rotated else "key set", name, version=entry.version, origin=entry.origin)
    warnings = [f"Odd for a key of {name}: {why}. It is stored all the same." for why in [doubt(name, key)] if why]
    if not place:
        warnings.append(
            f"No address of {name} is known, so this key is given to nobody. Configure [providers.{name}] and set the "
            "key again, or say --origin https://…"
        )
    if (lock := safe.lock()) is not None and lock.kind == "file":
        warnings.append("The vault's own key lies in a file beside it; PLENUM_PASSPHRASE and `keys rekey` mend that.")
    return {"provider": name, "version": entry.version, "origin": entry.origin, "warnings": warnings}


def _tell(common: Common, kept: Sequence[dict[str, Any]]) -> None:
    for warning in dict.fromkeys(w for one in kept for w in one["warnings"]):
        print(warning, file=sys.stderr)
    lines = [
        f"Stored the key of {one['provider']} (version {one['version']}), for {one['origin'] or 'nobody yet'}."
        for one in kept
    ]
    common.show({"stored": list(kept)}, "\n".join(lines))


def _read(provider: str, *, stdin: bool) -> str:
    if stdin:
        key = sys.stdin.read(LONGEST + 1).strip()
    elif sys.stdin.isatty():
        key = str(typer.prompt(f"Key of {provider}", hide_input=True)).strip()
    else:
        raise Exit(2, "There is no terminal to ask at. Pipe the key in and say --stdin.")
    if not key or len(key) > LONGEST or any(c in key for c in "\r\n\0"):
        raise Exit(2, "That is no key: it is empty, has several lines, or is longer than 8192 characters.")
    return key


def _from_environment(loaded: Loaded, provider: str) -> dict[str, str]:
    from providers.catalog import rows

    wanted = [known for known in rows().values() if provider in ("", known.name) or canonical(provider) == known.name]
    found = {
        known.name: key
        for known in wanted
        if (key := next((k for name in known.keys if (k := clean(loaded.environment.get(name)))), None))
    }
    if not found:
        known = row(canonical(provider)) if provider else None
        raise Exit(2, f"No key is set in {' or '.join(known.keys) if known else 'any well-known variable'}.")
    return found


def _blocking(work: Any, *arguments: Any) -> Any:
    try:
        return work(*arguments)
    except VaultFault as fault:
        raise Exit(2, str(fault)) from None


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
