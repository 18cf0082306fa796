"""Where the vault's key-encryption key lives: a KMS, the OS keyring, a passphrase, or a file beside the vault.

A new vault takes the first of these that is there; an existing one says in its header which it has.
"""

import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from .box import LocalWrap, Wrap
from .faults import VaultFault
from .files import read_private, write_private

SERVICE = "plenum-mcp"
PASSPHRASE = "PLENUM_PASSPHRASE"  # noqa: S105 - the variable's name
# Argon2id as in guide reliability-and-security §8.3: 190 ms measured; less is too cheap offline.
MEMORY_KIB, PASSES, LANES = 64 << 10, 3, 4


class Ring(Protocol):
    """The OS keyring (the module `keyring` is one)."""

    def get_password(self, service_name: str, username: str, /) -> str | None: ...

    def set_password(self, service_name: str, username: str, password: str, /) -> None: ...

    def delete_password(self, service_name: str, username: str, /) -> None: ...


class Kdf(BaseModel):
    """How a passphrase becomes a key; bounded, so that a forged header cannot take the machine down."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["argon2id", "scrypt"] = "argon2id"
    salt: Base64Bytes
    memory_kib: Annotated[int, Field(ge=8 << 10, le=1 << 20)] = MEMORY_KIB
    passes: Annotated[int, Field(ge=1, le=16)] = PASSES
    lanes: Annotated[int, Field(ge=1, le=16)] = LANES


class Lock(BaseModel):
    """What the header tells of the key-encryption key: nothing secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: Literal["kms", "keyring", "passphrase", "file"]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    kdf: Kdf | None = None
    kms: str | None = None


@dataclass(frozen=True, slots=True)
class Locksmith:
    """Makes and opens locks. `ring` gives the keyring where there is a safe one; `kms` is `[security] kms`."""

    folder: Path
    environment: Mapping[str, str]
    ring: Callable[[], Ring | None]
    kms: str | None = None

    def new(self, vault: str) -> tuple[Lock, Wrap]:
        """A new key-encryption key in the best place there is. Raises VaultFault."""
        id_ = secrets.token_hex(8)
        if self.kms:
            return Lock(kind="kms", id=id_, kms=self.kms), self._managed(self.kms)
        kek = os.urandom(32)
        if (ring := self.ring()) is not None and _stored(ring, f"{vault}/{id_}", kek):
            return Lock(kind="keyring", id=id_), LocalWrap(kek)
        if passphrase := self.environment.get(PASSPHRASE):
            kdf = new_kdf()
            return Lock(kind="passphrase", id=id_, kdf=kdf), LocalWrap(derive(passphrase, kdf))
        write_private(self._file(id_), kek.hex().encode())
        return Lock(kind="file", id=id_), LocalWrap(kek)

    def open(self, vault: str, lock: Lock) -> Wrap:
        """The key-encryption key of a lock. Raises VaultFault with what is missing."""
        match lock.kind:
            case "kms":
                return self._managed(lock.kms or "")
            case "keyring":
                return LocalWrap(_hex(self._fetched(vault, lock)))
            case "passphrase":
                return LocalWrap(self._derived(lock))
            case "file":
                return LocalWrap(_hex(read_private(self._file(lock.id)).decode("ascii", "replace")))

    def discard(self, vault: str, lock: Lock) -> None:
        """Remove a key-encryption key nothing hangs on any more."""
        if lock.kind == "file":
            self._file(lock.id).unlink(missing_ok=True)
        elif lock.kind == "keyring" and (ring := self.ring()) is not None:
            ring.delete_password(SERVICE, f"{vault}/{lock.id}")

    def _file(self, id_: str) -> Path:
        return self.folder / f"vault-{id_}.key"

    def _managed(self, name: str) -> Wrap:
        from .kms import GoogleKms, credentials

        if name != self.kms:  # a forged header must not choose who is asked to open keys
            raise VaultFault("The vault belongs to another KMS key than [security] kms names.", "Set it to that key.")
        return GoogleKms(name, credentials(self.environment))

    def _fetched(self, vault: str, lock: Lock) -> str:
        ring = self.ring()
        found = ring.get_password(SERVICE, f"{vault}/{lock.id}") if ring is not None else None
        if found is None:
            raise VaultFault(
                "The vault opens with the OS keyring, which cannot be reached from here or has lost its key.",
                "Unlock the keyring, use the providers' key variables, or move the vault away and set the keys anew.",
            )
        return found

    def _derived(self, lock: Lock) -> bytes:
        passphrase = self.environment.get(PASSPHRASE)
        if not passphrase or lock.kdf is None:
            raise VaultFault("The vault opens with a passphrase.", f"Set {PASSPHRASE} in the server's environment.")
        return derive(passphrase, lock.kdf)


def _stored(ring: Ring, name: str, kek: bytes) -> bool:
    """Keep it in the keyring; whether it really is there."""
    try:
        ring.set_password(SERVICE, name, kek.hex())
        found = ring.get_password(SERVICE, name)
    except Exception:  # noqa: BLE001 - every backend raises its own kinds; the next place is as good
        return False
    return found == kek.hex()


def _hex(text: str) -> bytes:
    try:
        kek = bytes.fromhex(text.strip())
    except ValueError:
        kek = b""
    if len(kek) != 32:
        raise VaultFault("The vault's key-encryption key is damaged.", "Restore it, or set the keys anew.")
    return kek


def new_kdf() -> Kdf:
    """Argon2id with a fresh salt; scrypt where this build of OpenSSL has no Argon2."""
    from cryptography.exceptions import UnsupportedAlgorithm

    kdf = Kdf.model_construct(salt=os.urandom(16))
    try:
        derive("probe", Kdf.model_construct(salt=b"0" * 16, memory_kib=8 << 10, passes=1, lanes=1))
    except UnsupportedAlgorithm:
        return Kdf.model_construct(kind="scrypt", salt=kdf.salt, memory_kib=128 << 10)
    return kdf


# OpenSSL's lanes share one pool of threads: two derivations at once starve each other for ever, or fail for "memory".
_ALONE = threading.Lock()


def derive(passphrase: str, kdf: Kdf) -> bytes:
    """32 bytes from a passphrase. Takes 0.2 s of one core on purpose."""
    if kdf.kind == "scrypt":  # 128 · n · r bytes
        n = 1 << ((kdf.memory_kib - 1).bit_length())
        return hashlib.scrypt(passphrase.encode(), salt=kdf.salt, n=n, r=8, p=1, maxmem=(1 << 31) - 1, dklen=32)
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    argon = Argon2id(salt=kdf.salt, length=32, iterations=kdf.passes, lanes=kdf.lanes, memory_cost=kdf.memory_kib)
    with _ALONE:
        return argon.derive(passphrase.encode())


def system_ring() -> Ring | None:
    """The OS keyring, if it is one: the stand-ins for none, and those that write in clear, rank below 1."""
    import keyring
    from keyring.errors import KeyringError

    try:
        backend = keyring.get_keyring()
        safe = backend.priority >= 1
    except (KeyringError, RuntimeError):
        return None
    return backend if safe else None
