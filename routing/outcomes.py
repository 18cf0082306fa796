"""How many calls went well or ill lately: a sliding count in one-second cells, so that its size does not grow with traffic.

Pure; the breaker trips on it and health reads it. Not a history: what left the window is forgotten.
"""

from collections import deque


class Outcomes:
    """Outcomes of the last `window_s` seconds, exact to one second."""

    __slots__ = ("_cells", "_window_s", "bad", "good")

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._cells: deque[list[int]] = deque()  # [second, good, bad]
        self.good = self.bad = 0

    def add(self, now: float, *, good: bool) -> None:
        """Count one outcome at `now` (seconds, any monotonic clock)."""
        self.forget(now)
        second = int(now)
        if not self._cells or self._cells[-1][0] != second:
            self._cells.append([second, 0, 0])
        self._cells[-1][1 if good else 2] += 1
        self.good += good
        self.bad += not good

    def forget(self, now: float) -> None:
        """Drop what is older than the window."""
        while self._cells and self._cells[0][0] < now - self._window_s:
            _, good, bad = self._cells.popleft()
            self.good -= good
            self.bad -= bad

    def clear(self) -> None:
        """Forget everything."""
        self._cells.clear()
        self.good = self.bad = 0

    def rate(self, now: float) -> float | None:
        """Share of failures 0..1, None without any outcome in the window."""
        self.forget(now)
        total = self.good + self.bad
        return self.bad / total if total else None
