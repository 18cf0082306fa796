"""Opening the file: settings, permissions, migrations, and what must be refused before a byte is written."""

import os
import sys
from pathlib import Path
from typing import cast

import apsw

from ..faults import State, StoreFault
from .database import Database
from .locks import FileLock
from .schema import MIGRATIONS, NEEDS

SAFE_SQLITE = (3, 51, 3)  # older ones can corrupt a WAL file that several processes write (the WAL-reset bug)
BUSY_MS = 10_000
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.rclone"}
)
_STATES: tuple[tuple[type[apsw.Error], State], ...] = (
    (apsw.FullError, "full"),
    (apsw.ReadOnlyError, "read_only"),
    (apsw.PermissionsError, "read_only"),
    (apsw.CantOpenError, "read_only"),
    (apsw.NotADBError, "corrupt"),
    (apsw.CorruptError, "corrupt"),
    (apsw.BusyError, "busy"),
    (apsw.LockedError, "busy"),
)


def translate(error: Exception) -> StoreFault:
    """The driver's error as a state of ours."""
    if isinstance(error, StoreFault):
        return error
    states: list[State] = [state for kind, state in _STATES if isinstance(error, kind)]
    return StoreFault(states[0] if states else "io", f"{type(error).__name__}: {error}")


def connect(path: Path, *, read_only: bool = False) -> Database:
    """A connection with the settings measured in guide reliability-and-security §7. Raises apsw.Error."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    opened = apsw.Connection(str(path), flags=flags)
    opened.set_busy_timeout(BUSY_MS)
    connection = cast("Database", opened)
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
    return connection


def emptied(path: Path) -> bool:
    """Move the write-ahead log into the file and cut it off, so that it holds nothing forgotten; whether that was free."""
    connection = connect(path)
    try:
        return connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get == 0
    finally:
        connection.close()


def prepare(path: Path, turnstile: FileLock) -> Database:
    """Create or migrate the file under the lock; the connection the writer shall use. Raises StoreFault."""
    if tuple(map(int, apsw.sqlite_lib_version().split("."))) < SAFE_SQLITE:
        raise StoreFault("io", f"SQLite {apsw.sqlite_lib_version()} is older than 3.51.3: install apsw >= 3.51.3")
    with turnstile:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = connect(path)
            migrate(connection)
        except apsw.Error as error:
            raise translate(error) from None
        except OSError as error:
            raise StoreFault("full" if error.errno == 28 else "read_only", str(error)) from None
    return connection


def migrate(connection: Database) -> None:
    """Bring the schema forward, never back; a newer file that says it suits us is taken as it is."""
    run = connection.execute
    version = run("PRAGMA user_version").get
    if version > len(MIGRATIONS):
        needs = run("SELECT value FROM meta WHERE key = 'needs'").get
        if needs is None or int(needs) > len(MIGRATIONS):
            raise StoreFault("newer")
        return
    if version < len(MIGRATIONS):
        with connection:
            for script in MIGRATIONS[version:]:
                run(script)
            run(
                "INSERT INTO meta(key, value) VALUES('needs', ?) ON CONFLICT(key) DO UPDATE SET value = ?", (NEEDS,) * 2
            )
            run(f"PRAGMA user_version = {len(MIGRATIONS)}")


def refuse_network(path: Path) -> None:
    """WAL needs shared memory on one host. Raises StoreFault where the folder is known to be a network mount."""
    if str(path).startswith("\\\\") or file_system(path) in NETWORK:
        raise StoreFault("network", str(path))


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The file system a path lies on, by the longest mount point before it; empty where that cannot be known."""
    if not sys.platform.startswith("linux") or not mounts.exists():
        return ""
    best, kind = "", ""
    real = str(path.resolve())
    for line in mounts.read_text(errors="replace").splitlines():
        head, _, tail = line.partition(" - ")
        point = head.split()[4].replace("\\040", " ")
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, tail.split()[0]
    return kind
