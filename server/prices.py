"""The price table a user fetched: kept as a file of the data folder, read again when it changes. Never fetched unasked."""

import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from providers.catalog.published import NOTHING, NotATable, Published, published, restored, saved

FILE = "prices.json"
LONGEST = 64 << 20  # bytes; models.dev's document has about 2 MiB
TIMEOUT_S = 30.0
LOOK_S = 1.0  # between looks at the file: every answer asks, and a new table may be in force a second later


class Unfetched(Exception):
    """No table could be fetched; the words say why."""


def kept(folder: Path, clock: Callable[[], float] = time.monotonic) -> Callable[[], Published]:
    """The table in force, a second ago at most. A file that cannot be read is no table: `doctor` and `plenum prices` say so."""
    table, until = NOTHING, -math.inf

    def _now() -> Published:
        nonlocal table, until
        if (now := clock()) >= until:
            until = now + LOOK_S
            try:
                table = checked(folder)
            except NotATable:
                table = NOTHING
        return table

    return _now


def checked(folder: Path) -> Published:
    """The table in force. Raises NotATable where the file is broken."""
    try:
        return _read(folder / FILE, (folder / FILE).stat().st_mtime_ns)
    except OSError:
        return NOTHING


@lru_cache(maxsize=4)
def _read(file: Path, stamp: int) -> Published:
    del stamp
    try:
        return restored(json.loads(file.read_bytes()))
    except ValueError:
        raise NotATable("it is not JSON") from None


def fetch(url: str, today: date, proxy: str | None = None) -> Published:
    """The table at `url`. Raises Unfetched."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise Unfetched("only https is asked for prices")
    try:
        with httpx2.Client(proxy=proxy, timeout=TIMEOUT_S, trust_env=False) as client:
            return published(json.loads(_body(client, url)), today)
    except httpx2.HTTPError as fault:
        raise Unfetched(f"{parts.hostname} did not answer ({type(fault).__name__})") from None
    except (ValueError, RecursionError):
        raise Unfetched(f"what {parts.hostname} sent is not JSON") from None
    except NotATable as fault:
        raise Unfetched(f"what {parts.hostname} sent is not the table: {fault}") from None


def _body(client: httpx2.Client, url: str) -> bytes:
    with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise Unfetched(f"{urlsplit(url).hostname} answered with status {response.status_code}")
        held = bytearray()
        for chunk in response.iter_bytes():
            held += chunk
            if len(held) > LONGEST:
                raise Unfetched("the document is too long")
        return bytes(held)


def keep(folder: Path, table: Published) -> None:
    """Put the table in force, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(saved(table), file)
    Path(name).replace(folder / FILE)


def drop(folder: Path) -> bool:
    """Go back to the bundled table; whether there was another."""
    try:
        (folder / FILE).unlink()
    except FileNotFoundError:
        return False
    return True
