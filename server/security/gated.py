"""A pattern behind words: it is looked for only in texts that hold one of the words of which every match has one.

Finding a word costs a hundredth of finding a pattern, and nearly all texts hold none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

# With IGNORECASE an ASCII letter also means these, which `str.lower` leaves alone (the re module's documentation).
_ODD = re.compile("[\u0130\u0131\u017f\u212a]")
SHORT = 256  # characters in which a pattern is found as fast as words


@dataclass(frozen=True)
class Gated:
    """`words` are lower case where the pattern ignores case, else as they stand."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]

    @cached_property
    def _folds(self) -> bool:
        return bool(self.pattern.flags & re.IGNORECASE)

    def may(self, text: str, folded: str | None = None) -> bool:
        """Whether a match is possible. `folded` is `fold(text)`, for who asks many."""
        if len(text) < SHORT:
            return True
        if self._folds:
            text = fold(text) if folded is None else folded
            if not text:
                return True
        return holds(text, self.words)

    def search(self, text: str, folded: str | None = None) -> bool:
        """Whether there is a match."""
        return self.may(text, folded) and self.pattern.search(text) is not None

    def subn(self, mark: str, text: str) -> tuple[str, int]:
        """As the pattern's own."""
        return self.pattern.subn(mark, text) if self.may(text) else (text, 0)


def words(patterns: Iterable[Gated]) -> tuple[str, ...]:
    """All words of these: a text that `holds` none of them is asked for none of the patterns."""
    return tuple(dict.fromkeys(word for pattern in patterns for word in pattern.words))


def holds(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words is in the text."""
    for word in words:  # noqa: SIM110 - half of what `any` over a generator costs
        if word in text:
            return True
    return False


def fold(text: str) -> str:
    """Lower case, or nothing where that does not tell what a pattern that ignores case may find."""
    return "" if not text.isascii() and _ODD.search(text) else text.lower()
