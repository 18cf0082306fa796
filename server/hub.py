"""Fans routing events out to whoever listens: telemetry, health, subscriptions. A listener's fault stays its own."""

import logging
from collections.abc import Callable

from routing.events import Event, Observer

_log = logging.getLogger(__name__)


class Hub:
    """An observer of many observers."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` everything from now on; the answer ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def __call__(self, event: Event) -> None:
        """Tell everybody. One who fails is named in the log, without the event's content."""
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception as fault:  # noqa: BLE001 - telemetry must never fail a request
                _log.warning("an observer failed on %s: %s", type(event).__name__, type(fault).__name__)
