"""The vault: one private file of sealed keys. Every change is one locked read, one atomic write.

What is readable in it: which providers, which origins, when. Sealing is `box`, the key-encryption key `locks`.
"""

import secrets
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from routing.store.sqlite.locks import FileLock

from .box import Address, Box, Wrap, rewrap, seal, unseal
from .faults import VaultFault
from .files import read_private, write_private
from .locks import Lock, Locksmith

DAY_S = 86_400.0
GRACE_S = 7 * DAY_S  # a replaced key stays usable as long
REMIND_S = 90 * DAY_S  # from this age on a key should be rotated


class Entry(BaseModel):
    """One version of one provider's key. `retired`: when a newer one took its place; `refused`: its provider said no."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    provider: Annotated[str, Field(min_length=1, max_length=128)]
    origin: str
    version: Annotated[int, Field(ge=1)]
    created: float
    retired: float | None = None
    refused: bool = False
    dek: Base64Bytes
    sealed: Base64Bytes

    @property
    def box(self) -> Box:
        """What is sealed."""
        return Box(self.dek, self.sealed)

    def usable(self, now: float) -> bool:
        """Whether it is in force, or within its grace."""
        return self.retired is None or now < self.retired + GRACE_S


class Document(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    v: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    lock: Lock
    entries: tuple[Entry, ...] = ()


class Vault:
    """Keys at rest. All methods block (file, keyring, key derivation) and raise VaultFault."""

    def __init__(self, path: Path, smith: Locksmith, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._smith = smith
        self._clock = clock
        self._opened: tuple[Lock, Wrap] | None = None

    def entries(self) -> Sequence[Entry]:
        """What is there, nothing opened."""
        return self._read().entries if self.path.exists() else ()

    def lock(self) -> Lock | None:
        """How the vault is locked, None where there is no vault."""
        return self._read().lock if self.path.exists() else None

    def open(self) -> dict[tuple[str, str], str]:
        """Every usable key by provider and origin: the newest that its provider did not refuse, else the newest."""
        if not self.path.exists():
            return {}
        document, now, found = self._read(), self._clock(), dict[tuple[str, str], Entry]()
        for entry in sorted(document.entries, key=lambda e: (not e.refused, e.version)):
            if entry.origin and entry.usable(now):
                found[entry.provider, entry.origin] = entry
        if not found:
            return {}
        wrap = self._wrap(document)
        return {name: unseal(entry.box, _address(document, entry), wrap) for name, entry in found.items()}

    def set(self, provider: str, origin: str, secret: str) -> Entry:
        """Store a key; earlier ones of this provider go at once."""
        return self._added(provider, origin, secret, keep=False)

    def rotate(self, provider: str, origin: str, secret: str) -> Entry:
        """Store a new key; the one in force stays for its grace, in case the new one is refused."""
        return self._added(provider, origin, secret, keep=True)

    def remove(self, provider: str) -> int:
        """Forget every version; how many there were."""
        if not self.path.exists():
            return 0
        with self._turn():
            document = self._read()
            kept = tuple(entry for entry in document.entries if entry.provider != provider)
            self._write(document.model_copy(update={"entries": kept}))
            return len(document.entries) - len(kept)

    def refuse(self, provider: str, origin: str) -> bool:
        """Note that the provider refused the newest key; whether an earlier one is there to go on with."""
        with self._turn():
            document, now = self._read(), self._clock()
            mine = [e for e in document.entries if (e.provider, e.origin) == (provider, origin) and e.usable(now)]
            if len(mine) < 2 or (newest := max(mine, key=lambda e: e.version)).refused:
                return False
            marked = newest.model_copy(update={"refused": True})
            entries = tuple(marked if e is newest else e for e in document.entries)
            self._write(document.model_copy(update={"entries": entries}))
            return True

    def rekey(self) -> Lock:
        """Put every key under a new key-encryption key, in the best place there is now; the old one goes last."""
        with self._turn():
            document = self._document()
            old, (lock, new) = self._wrap(document), self._smith.new(document.id)
            entries = tuple(_moved(document, entry, old, new) for entry in document.entries)
            self._write(document.model_copy(update={"lock": lock, "entries": entries}))
            self._opened = lock, new
            self._smith.discard(document.id, document.lock)
            return lock

    def _added(self, provider: str, origin: str, secret: str, *, keep: bool) -> Entry:
        with self._turn():
            document, now = self._document(), self._clock()
            mine = [entry for entry in document.entries if entry.provider == provider]
            version = max((entry.version for entry in mine), default=0) + 1
            kept = [_retired(entry, now) for entry in mine if keep and entry.usable(now) and not entry.refused]
            box = seal(secret, Address(document.id, provider, origin, version), self._wrap(document))
            entry = Entry.model_construct(
                provider=provider, origin=origin, version=version, created=now, dek=box.dek, sealed=box.sealed
            )
            others = [entry for entry in document.entries if entry.provider != provider]
            self._write(document.model_copy(update={"entries": (*others, *kept, entry)}))
            return entry

    @contextmanager
    def _turn(self) -> Generator[None]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self.path.with_name(self.path.name + ".lock"))
        except OSError as fault:
            raise VaultFault(f"The vault cannot be locked ({fault.strerror}).", "Make its folder writable.") from None
        with closing(lock), lock:
            yield

    def _document(self) -> Document:
        """The file as it is, or a new one."""
        if self.path.exists():
            return self._read()
        id_ = secrets.token_hex(16)
        lock, wrap = self._smith.new(id_)
        self._opened = lock, wrap
        return Document(id=id_, lock=lock)

    def _wrap(self, document: Document) -> Wrap:
        if self._opened is None or self._opened[0] != document.lock:
            self._opened = document.lock, self._smith.open(document.id, document.lock)
        return self._opened[1]

    def _read(self) -> Document:
        try:
            return Document.model_validate_json(read_private(self.path))
        except ValidationError:
            raise VaultFault(
                f"{self.path} is damaged, or of a newer Plenum.", "Restore it, or move it away and set the keys anew."
            ) from None

    def _write(self, document: Document) -> None:
        write_private(self.path, document.model_dump_json(indent=1).encode())


def _address(document: Document, entry: Entry) -> Address:
    return Address(document.id, entry.provider, entry.origin, entry.version)


def _retired(entry: Entry, now: float) -> Entry:
    return entry.model_copy(update={"retired": now}) if entry.retired is None else entry


def _moved(document: Document, entry: Entry, old: Wrap, new: Wrap) -> Entry:
    box = rewrap(entry.box, _address(document, entry), old, new)
    return entry.model_copy(update={"dek": box.dek, "sealed": box.sealed})
