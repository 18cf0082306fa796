"""What people said of answers: right or wrong. Durable rows without text, from which calibration learns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .pending import Pending


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer a person marked. `raw` is the confidence before calibration, None for a single model's answer.

    `table` is the calibration it belongs to, `kind` of task the key into a card's quality. `models` are names across
    providers whose answer was the marked one; `others` said something else.
    """

    id: str
    caller: str
    at: float
    right: bool
    kind: str = ""
    table: str = ""
    raw: float | None = None
    models: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Marks(Protocol):
    """All marks; a second one of the same answer replaces the first."""

    def keep(self, mark: Mark) -> Pending[None]:
        """Store it."""
        ...

    async def all(self) -> Sequence[Mark]:
        """Every mark, oldest first."""
        ...

    async def asker(self, id: str) -> str | None:  # noqa: A002
        """Whose answer this id is: marks may be set from another place than it was asked from."""
        ...
