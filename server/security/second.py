"""A rotated key that its provider refuses: the one before it is taken again, as long as its grace lasts."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from routing.events import AttemptEnded, Event

from ..config import Loaded
from ..seats import origin, seats
from .carried import carried
from .keys import Keys, refused
from .watch import Watch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecondKeys:
    """Subscribes to the hub. What it notes in the vault changes the file, and a changed file is put in force."""

    tasks: TaskGroup
    now: Callable[[], tuple[Loaded, Keys]]
    watch: Watch

    def __call__(self, event: Event) -> None:
        """Look after a refused key, unless its caller brought it."""
        if isinstance(event, AttemptEnded) and event.attempt.outcome == "authentication":
            provider = event.attempt.provider
            if provider not in carried.get():
                self.tasks.start_soon(self._fall_back, provider)

    async def _fall_back(self, provider: str) -> None:
        loaded, keys = self.now()
        seat = next((s for s in seats(loaded.config, loaded.environment, keys) if s.name == provider), None)
        place = "" if seat is None else origin(seat.base_url)
        key = None if seat is None else seat.key()
        if key is None or keys(provider, place) != key:
            return  # the key is not the vault's
        if await run_sync(refused, loaded, provider, place, key):
            _log.warning("%s refused its new key; the one before it is used again", provider)
            self.watch.note("plenum", "key refused", provider)
