"""What calls cost that were left before they ended: an observer that remembers attempts of the fuses on their way."""

from collections.abc import Generator
from contextlib import contextmanager

from ..events import AttemptEnded, Event
from ..types import Attempt


class Tally:
    """Subscribe it to routing's events. Outside of `watch` it remembers nothing."""

    def __init__(self) -> None:
        self._watched: dict[str, dict[str, list[Attempt]]] = {}

    def __call__(self, event: Event) -> None:
        """Note an attempt of a member."""
        if isinstance(event, AttemptEnded):
            tree, dash, _ = event.id.rpartition("-")
            if dash and tree in self._watched:
                self._watched[tree].setdefault(event.id, []).append(event.attempt)

    @contextmanager
    def watch(self, id: str) -> Generator[None]:  # noqa: A002
        """Remember the attempts of this fuse's members for the length of the block."""
        self._watched[id] = {}
        try:
            yield
        finally:
            del self._watched[id]

    def attempts(self, id: str) -> tuple[Attempt, ...]:  # noqa: A002
        """What is known of one member's ask."""
        return tuple(self._watched.get(id.rpartition("-")[0], {}).get(id, ()))
