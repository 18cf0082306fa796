"""Sealing one key: AES-256-GCM under a data key of its own, which a key-encryption key wraps. No files, no choices.

What a box belongs to is bound into it: moved to another provider, address or version, it does not open
(guide reliability-and-security §8.3).
"""

import json
import os
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .faults import VaultFault

NONCE = 12  # bytes: 96 random bits; a data key seals once, so it can never meet its nonce again


class Wrap(Protocol):
    """A key-encryption key, wherever it lives. Both raise VaultFault."""

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """Encrypt a data key, bound to `context`."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Decrypt it; the same context must be given."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where a key belongs: the vault, the provider, the only origin it may be sent to, and its version."""

    vault: str
    provider: str
    origin: str
    version: int

    @property
    def context(self) -> bytes:
        """The associated data; JSON, so that no two addresses read the same."""
        return json.dumps(["v1", self.vault, self.provider, self.origin, self.version]).encode()


@dataclass(frozen=True, slots=True)
class Box:
    """A sealed key and its wrapped data key."""

    dek: bytes
    sealed: bytes


def seal(secret: str, address: Address, wrap: Wrap) -> Box:
    """Close a key into a box."""
    dek = AESGCM.generate_key(256)
    return Box(wrap.wrap(dek, address.context), _encrypt(dek, secret.encode(), address.context))


def unseal(box: Box, address: Address, wrap: Wrap) -> str:
    """The key in the box. Raises VaultFault where box, address and wrap do not belong together."""
    return _decrypt(wrap.unwrap(box.dek, address.context), box.sealed, address.context).decode()


def rewrap(box: Box, address: Address, old: Wrap, new: Wrap) -> Box:
    """The same box under another key-encryption key, opened once to see that it does open."""
    moved = Box(new.wrap(old.unwrap(box.dek, address.context), address.context), box.sealed)
    unseal(moved, address, new)
    return moved


class LocalWrap:
    """A key-encryption key of 32 bytes in this process's memory."""

    def __init__(self, kek: bytes) -> None:
        self._kek = kek

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """AES-256-GCM."""
        return _encrypt(self._kek, secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises VaultFault for a wrong key, context or wrapping."""
        return _decrypt(self._kek, wrapped, context)


def _encrypt(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _decrypt(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], context)
    except (InvalidTag, ValueError):
        raise VaultFault(
            "A key in the vault does not open: the passphrase is wrong, or the file was changed.",
            "Check PLENUM_PASSPHRASE, or set the key anew with `plenum keys set PROVIDER`.",
        ) from None
