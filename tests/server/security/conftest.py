import logging
import sys
import threading
from pathlib import Path

import pytest

from server.security.locks import Locksmith
from server.security.vault import Vault


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class DictRing:
    """An OS keyring that keeps its items in a dictionary."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.items.get((service, username))

    def set_password(self, service, username, password):
        self.items[service, username] = password

    def delete_password(self, service, username):
        del self.items[service, username]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring() -> DictRing:
    return DictRing()


@pytest.fixture
def make_vault(tmp_path: Path, clock: Clock):
    def make(*, ring=None, kms=None, **environment: str) -> Vault:
        return Vault(tmp_path / "vault.json", Locksmith(tmp_path, environment, lambda: ring, kms), clock)

    return make


@pytest.fixture
def logs_restored():
    factory, hooks = logging.getLogRecordFactory(), (sys.excepthook, sys.unraisablehook, threading.excepthook)
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
