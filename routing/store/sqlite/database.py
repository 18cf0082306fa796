"""The little of apsw that operations use, with types; also what lets them be read without knowing the driver."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

Value = str | int | float | bytes | None


class Rows(Protocol):
    """The result of a statement."""

    def fetchall(self) -> list[tuple[Any, ...]]: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...

    @property
    def get(self) -> Any:
        """The first value of the first row, None if there is none."""
        ...


class Database(Protocol):
    """An open connection."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statements: str, bindings: Sequence[Value] = (), /) -> Rows: ...

    def changes(self) -> int: ...

    def total_changes(self) -> int: ...

    def last_insert_rowid(self) -> int: ...

    def close(self) -> None: ...

    def __enter__(self) -> "Database": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...
