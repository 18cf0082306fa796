"""The running sums of budgets in memory: read once, added up in Python, written once before the commit they belong to.

Used in the writer's thread only, inside its transactions, and the only one there who writes to `budget`. What was read
stays true for as long as no other connection has committed anything, which `data_version` tells.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from ..ledger import Limit, Standing, Window, scopes
from .database import Database

MANY = 1024  # windows kept in memory: what many callers and tasks have touched is read anew now and then

LATEST = "SELECT max(at) FROM attempt"
LOOK = """SELECT scope, starts, ends, spent, held, alerted FROM budget
  WHERE scope IN (?, ?, ?, ?, ?) AND ends > ?"""
OPEN = "INSERT INTO budget(scope, starts, ends, spent, held) VALUES(?, ?, ?, ?, ?)"
LEASE = "SELECT state, coalesce(cost, held), at, provider, model, caller, task FROM attempt WHERE id = ? AND state IN (0, 3)"
LEFT = {0: "UPDATE attempt SET held = ? WHERE id = ?", 3: "UPDATE attempt SET cost = ? WHERE id = ?"}
WRITE = """INSERT INTO budget(scope, starts, ends, spent, held, alerted) VALUES {rows}
  ON CONFLICT(scope, ends, starts) DO UPDATE SET spent = excluded.spent, held = excluded.held, alerted = excluded.alerted"""


@dataclass(slots=True)
class Sum:
    """One window, as of the operation that looks at it."""

    window: Window
    spent: int
    held: int
    alerted: int = 0  # the highest amount that was told

    def standing(self) -> Standing:
        """As it is now."""
        return Standing(self.window, self.spent, self.held)


@dataclass(slots=True)
class Reservation:
    """A reservation for many calls. Reclaimed by whoever took us for dead, it is what was booked for it that is left."""

    state: int
    left: int
    at: float
    names: tuple[str, ...]


class Sums:
    """The windows that operations looked at, over the connection that writes. `write` puts changes into the transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._version: int | None = None
        self.clear()

    def clear(self) -> None:
        """Believe nothing: the transaction it was read or changed in is gone."""
        self._known: dict[Window, Sum] = {}
        self._changed: dict[Window, Sum] = {}
        self._looked: dict[tuple[str, ...], tuple[float, list[Sum]]] = {}
        self._latest: float | None = None
        self._reserved: dict[int, Reservation | None] = {}
        self._used: dict[int, Reservation] = {}

    def begin(self) -> None:
        """A transaction has begun: forget what another process may have changed since the last one."""
        version = self._db.execute("PRAGMA data_version").get
        if version != self._version or len(self._known) > MANY:
            self._version = version
            self.clear()

    def write(self) -> None:
        """Put what changed into the transaction, at once: between any two statements the event loop may take its turn."""
        rows = [(*s.window, s.spent, s.held, s.alerted) for s in self._changed.values()]
        if rows:
            self._db.execute(_written(len(rows)), tuple(chain.from_iterable(rows)))
        self._changed.clear()
        for lease, reserved in self._used.items():
            self._db.execute(LEFT[reserved.state], (reserved.left, lease))
        self._used.clear()

    def latest(self) -> float:
        """When the newest attempt was booked, 0 where there is none."""
        latest = self._latest
        if latest is None:
            latest = self._latest = float(self._db.execute(LATEST).get or 0)
        return latest

    def booked(self, at: float) -> None:
        """There is another attempt."""
        self._latest = max(self.latest(), at)

    def of(self, names: tuple[str, ...], at: float) -> list[Sum]:
        """Every window of these five scopes at this time."""
        since, found = self._looked.get(names, (at, None))
        if found is None or at < since:
            rows = self._db.execute(LOOK, (*names, at)).fetchall()
            found = [self._remembered(Window(*row[:3]), *row[3:]) for row in rows]
            self._looked[names] = at, found
        return [s for s in found if s.window.starts <= at < s.window.ends]

    def open(self, standing: Standing) -> Sum:
        """A window's first row."""
        self._db.execute(OPEN, (*standing.window, standing.spent, standing.held))
        self._looked.clear()
        return self._remembered(standing.window, standing.spent, standing.held)

    def move(self, sums: Iterable[Sum], *, spent: int = 0, held: int = 0) -> None:
        """Add to each of them."""
        for s in sums:
            s.spent += spent
            s.held += held
            self._changed[s.window] = s

    def take(self, lease: int, amount: int | None) -> bool:
        """Let a reservation hold so much less, or nothing, in its windows. False where there is none."""
        if lease not in self._reserved:
            row = self._db.execute(LEASE, (lease,)).fetchone()
            self._reserved[lease] = Reservation(row[0], row[1], row[2], scopes(*row[3:])) if row else None
        reserved = self._reserved[lease]
        if reserved is None:
            return False
        taken = reserved.left if amount is None else min(amount, reserved.left)
        if taken:
            reserved.left -= taken
            self._used[lease] = reserved
            windows = self.of(reserved.names, reserved.at)
            self.move(windows, **{"spent" if reserved.state else "held": -taken})
        return True

    def forget(self, lease: int) -> None:
        """It is gone, or became something else."""
        self._reserved.pop(lease, None)
        self._used.pop(lease, None)

    def passed(self, sums: Sequence[Sum], limits: Sequence[Limit]) -> tuple[tuple[Limit, int, int], ...]:
        """The highest amount each window has passed since it was last told, remembered for every process."""
        told: list[tuple[Limit, int, int]] = []
        known = {s.window: s for s in sums}
        for limit in limits:
            if (s := known.get(limit.window)) is None:
                continue
            highest = max((amount for amount in limit.alerts if s.spent >= amount), default=0)
            if highest > s.alerted:
                s.alerted = highest
                self._changed[s.window] = s
                told.append((limit, highest, s.spent))
        return tuple(told)

    def _remembered(self, window: Window, spent: int, held: int, alerted: int = 0) -> Sum:
        return self._known.setdefault(window, Sum(window, spent, held, alerted))


@lru_cache(maxsize=64)
def _written(rows: int) -> str:
    return WRITE.format(rows=", ".join(["(?, ?, ?, ?, ?, ?)"] * rows))
