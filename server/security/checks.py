"""What `plenum doctor` looks at for security's sake: the vault, and files others can read."""

import stat
import sys
import time
from collections.abc import Iterator, Sequence

from ..config import Loaded
from ..config.world import World
from ..diagnosis import Diagnosis
from .faults import VaultFault
from .keys import FILE, opened, vault
from .vault import REMIND_S, Vault


async def keys_at_rest(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    """The vault: does it open, with what, how old are its keys."""
    del world
    if not (loaded.folders.data / FILE).exists():
        return []
    try:
        return list(_vault(vault(loaded), loaded))
    except VaultFault as fault:
        return [Diagnosis("warning", "vault", str(fault.args[0]), fault.hint)]


def _vault(safe: Vault, loaded: Loaded) -> Iterator[Diagnosis]:
    lock, found = safe.lock(), opened(loaded)
    if found.fault:
        yield Diagnosis("warning", "vault", "the vault does not open", found.fault)
    elif lock is not None and lock.kind == "file":
        fix = "set PLENUM_PASSPHRASE, then run: plenum keys rekey"
        yield Diagnosis(
            "warning", "vault", "its key lies in a file beside it, for want of a keyring or passphrase", fix
        )
    elif lock is not None:
        yield Diagnosis("ok", "vault", f"{len(found.known)} key(s), opened with: {lock.kind}")
    for entry in safe.entries():
        age = time.time() - entry.created
        if not entry.origin:
            fix = f"configure [providers.{entry.provider}], then run: plenum keys set {entry.provider}"
            yield Diagnosis("warning", "vault", f"the key of {entry.provider} belongs to no address", fix)
        if entry.refused:
            fix = f"plenum keys rotate {entry.provider}"
            yield Diagnosis("warning", "vault", f"{entry.provider} refused its newest key; the old one is in use", fix)
        elif entry.retired is None and age > REMIND_S:
            fix = f"plenum keys rotate {entry.provider}"
            yield Diagnosis("note", "vault", f"the key of {entry.provider} is {age / 86400:.0f} days old", fix)


async def private_files(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    """Configuration with secrets in it, and the store, readable by others."""
    del world
    if sys.platform == "win32":
        return []
    secret = any(t.api_key for t in loaded.config.providers.table.values()) or loaded.config.http.tokens
    files = [*(loaded.files if secret else ()), loaded.folders.data / "plenum.db"]
    return [
        Diagnosis("warning", "files", f"{file} can be read by other users", f"chmod 600 {file}")
        for file in files
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
