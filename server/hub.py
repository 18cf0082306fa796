"""Fans routing events out to whoever listens: telemetry, health, subscriptions. A listener's fault stays its own."""

import logging
from collections.abc import Callable
from typing import get_args

from routing.events import Event, Observer

EVERY: tuple[type[Event], ...] = get_args(Event)
_log = logging.getLogger(__name__)


class Hub:
    """An observer of many observers."""

    def __init__(self) -> None:
        self._observers: dict[type[Event], tuple[Observer, ...]] = dict.fromkeys(EVERY, ())

    def subscribe(self, observer: Observer, *kinds: type[Event]) -> Callable[[], None]:
        """Tell `observer` events of these kinds, or everything, from now on; the answer ends that."""
        heard = kinds or EVERY
        for kind in heard:
            self._observers[kind] = (*self._observers[kind], observer)

        def end() -> None:
            for kind in heard:
                self._observers[kind] = tuple(other for other in self._observers[kind] if other is not observer)

        return end

    def __call__(self, event: Event) -> None:
        """Tell everybody who listens for it. One who fails is named in the log, without the event's content."""
        for observer in self._observers.get(type(event), ()):
            try:
                observer(event)
            except Exception as fault:  # noqa: BLE001 - telemetry must never fail a request
                _log.warning("an observer failed on %s: %s", type(event).__name__, type(fault).__name__)
