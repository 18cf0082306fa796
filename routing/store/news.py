"""Which holds are worth telling the others: those they have not heard, or that end at another time than was said."""

from collections.abc import Sequence

from ..cooldowns import Notice

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
