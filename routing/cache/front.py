"""The part of the cache in this process's memory: least recently used goes first, by number and by bytes. No clock."""

from collections import OrderedDict
from dataclasses import dataclass

from ..store.cache import Bounds
from ..types import Result


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer as it was given for `cost_usd`, `at` seconds since the epoch; `size` is in bytes, packed."""

    result: Result
    caller: str
    at: float
    size: int


class Front:
    """Entries by key. `bounds` may change at any time and count from the next `put`."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.bytes = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """The entry, which is now the last to go."""
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: str, entry: Entry) -> None:
        """Keep it, let go what is too much. What alone is larger than everything may be is not kept."""
        self.drop(key)
        if entry.size > self.bounds.bytes:
            return
        self._entries[key] = entry
        self.bytes += entry.size
        while len(self._entries) > self.bounds.entries or self.bytes > self.bounds.bytes:
            self.bytes -= self._entries.popitem(last=False)[1].size

    def drop(self, key: str) -> None:
        """Forget it, if it is there."""
        gone = self._entries.pop(key, None)
        if gone is not None:
            self.bytes -= gone.size

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.bytes = 0
