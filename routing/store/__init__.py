"""Where state lives: engines behind narrow protocols, chosen by the scheme of `[store] url`.

`sqlite` is one file for all processes of a user, `postgres` a server for a fleet; `plenum.stores` entry points add more.
Limits and caches that replicas share are another matter: `shared.py`.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from .archive import Archive, Claims, Diary, Retention, Shredder
from .audit import Audit
from .books import Books, Counters
from .cache import Meanings, Responses
from .ledger import Ledger
from .marks import Marks
from .tokens import Tokens
from .trials import Trials


class Records(Archive, Claims, Shredder, Protocol):
    """Finished asks: kept, claimed, forgotten."""


class Accounts(Books, Counters, Diary, Protocol):
    """What was spent and asked, read and counted."""


class Kept(Responses, Meanings, Protocol):
    """Answers worth giving again, and where their questions lie."""


class Store(Protocol):
    """An open store. Its parts write in one order, and share their commits."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def archive(self) -> Records: ...

    @property
    def books(self) -> Accounts: ...

    @property
    def audit(self) -> Audit: ...

    @property
    def responses(self) -> Kept: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def marks(self) -> Marks: ...

    @property
    def retention(self) -> Retention: ...

    @property
    def trials(self) -> Trials: ...


def open_store(url: str) -> AbstractAsyncContextManager[Store]:
    """The store behind a URL. Entering raises StoreFault; an unknown scheme raises ValueError here."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        from .sqlite import sqlite

        return sqlite(Path(rest[1:]).expanduser())
    if scheme in ("postgresql", "postgres"):
        from .postgres import postgres

        return postgres(url)
    from importlib.metadata import entry_points

    for plugin in entry_points(group="plenum.stores", name=scheme):
        return plugin.load()(url)
    raise ValueError(f"no store is called {scheme!r}: it should begin with sqlite:/// or postgresql://")
