"""Which holds are worth telling the others: those they have not heard, or that end at another time than was said."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..cooldowns import Notice
from .faults import StoreFault
from .shared import Gathering, SharedLost

SLACK_S = 1.0  # a hold that differs by less is no news


class News:
    """What this process has posted, by name: when it ends, on any clock in seconds that `now` is read from."""

    def __init__(self) -> None:
        self._posted: dict[str, float] = {}

    def fresh(self, notices: Sequence[Notice], now: float) -> list[Notice]:
        """Those that were not posted yet as they are."""
        return [notice for notice in notices if self._is_news(notice, now)]

    def posted(self, notices: Sequence[Notice], now: float) -> None:
        """They stand."""
        self._posted.update((notice.name, now + notice.left_s) for notice in notices)

    def _is_news(self, notice: Notice, now: float) -> bool:
        until = self._posted.get(notice.name)
        return until is None or abs(until - (now + notice.left_s)) > SLACK_S


class StoredBoard:
    """A `Board` (see `shared.py`) in a store: it reads every time and writes only news. `post` writes the fresh ones at a
    time of `clock` and gathers what all have posted; hints stay here, each judges by its own.
    """

    def __init__(
        self, post: Callable[[Sequence[Notice], float], Awaitable[Gathering]], clock: Callable[[], float]
    ) -> None:
        self._post = post
        self._clock = clock
        self._news = News()

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """Post this process's news, read everybody's. Raises SharedLost."""
        del replica, hints
        now = self._clock()
        fresh = self._news.fresh(news, now)
        try:
            found = await self._post(fresh, now)
        except StoreFault:
            raise SharedLost from None
        self._news.posted(fresh, now)
        return found
