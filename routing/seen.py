"""What an input of any size has had before: names, and what its lines ask. Hashes in flat arrays, no texts. Pure."""

import hashlib
from array import array


class Ids:
    """Where an id was seen first, at 24 bytes an id or less: open addressing over 64-bit hashes."""

    def __init__(self) -> None:
        self._size = 1024
        self._count = 0
        self._hashes, self._lines = _table(self._size)

    def first(self, name: str, line: int) -> int:
        """The line that had this id first: this one, if none had."""
        mark = int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=8).digest(), "big") or 1
        slot = self._slot(mark)
        if self._hashes[slot] == mark:
            return self._lines[slot]
        self._hashes[slot], self._lines[slot] = mark, line
        self._count += 1
        if self._count * 3 > self._size * 2:
            self._grow()
        return line

    def _slot(self, mark: int) -> int:
        slot = mark % self._size
        while self._hashes[slot] not in (0, mark):
            slot = (slot + 1) % self._size
        return slot

    def _grow(self) -> None:
        held = [(mark, line) for mark, line in zip(self._hashes, self._lines, strict=True) if mark]
        self._size *= 2
        self._hashes, self._lines = _table(self._size)
        for mark, line in held:
            slot = self._slot(mark)
            self._hashes[slot], self._lines[slot] = mark, line


def _table(size: int) -> tuple["array[int]", "array[int]"]:
    return array("Q", bytes(8 * size)), array("Q", bytes(8 * size))


class Questions:
    """Which line asks a question, and of which hand-in it is: 72 bytes a question or less.

    64 bits of a question's digest find it and 64 others must agree: no line is given the answer of another question.
    """

    def __init__(self) -> None:
        self._ids = Ids()
        self._checks, self._lines, self._jobs = array("Q"), array("Q"), array("Q")
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    def put(self, digest: str, line: int, job: str) -> None:
        """From now on this line asks it."""
        if job not in self._numbers:
            self._numbers[job] = len(self._names)
            self._names.append(job)
        if (place := self._place(digest)) is not None:
            self._lines[place], self._jobs[place] = line, self._numbers[job]

    def find(self, digest: str) -> tuple[str, int] | None:
        """The hand-in and the line that ask this; None where none does."""
        place = self._place(digest)
        if place is None or not self._lines[place]:
            return None
        return self._names[self._jobs[place]], self._lines[place]

    def _place(self, digest: str) -> int | None:
        """Where a question stands, or shall; None where the place is taken by one whose hash begins alike."""
        check, new = int(digest[-16:], 16), len(self._checks)
        place = self._ids.first(digest, new)
        if place == new:
            self._checks.append(check)
            self._lines.append(0)
            self._jobs.append(0)
        return place if self._checks[place] == check else None
