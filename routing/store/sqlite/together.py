"""Rows of one kind that may wait: however many they become, one operation writes them."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from .database import Database
from .writer import Writer

R = TypeVar("R")


class Together(Generic[R]):
    """`write` gets them in the order they came: within half a second, in the writer's thread, more than once if need be."""

    def __init__(self, writer: Writer, write: Callable[[Database, list[R]], None]) -> None:
        self._writer = writer
        self._write = write
        self._waiting: deque[R] = deque()  # filled in one thread and emptied in another

    def add(self, row: R) -> None:
        """Have it written with the others."""
        self._waiting.append(row)
        if len(self._waiting) == 1:
            self._writer.later(partial(self._written, []))

    def _written(self, taken: list[R], db: Database) -> None:
        # What was taken is kept: a transaction in which something else broke is done once more.
        with suppress(IndexError):
            while True:
                taken.append(self._waiting.popleft())
        self._write(db, taken)
