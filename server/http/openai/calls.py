"""Tool calls on their way: what of them has not been told yet.

Deltas say that arguments grew, the answer so far says of which call: the difference to what was told is what is sent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from providers.types import Answer, ToolCall

AnswerSoFar = Callable[[], Answer]
COARSE = 64  # a look at the answer copies it: made when a sixty-fourth of it is new, so the sum stays linear


@dataclass(frozen=True, slots=True)
class Grown:
    """A call that is new (`first`) or whose arguments grew by `piece`."""

    index: int
    call: ToolCall
    piece: str
    first: bool


@dataclass(slots=True)
class _Told:
    id: str
    name: str
    length: int


class Calls:
    """The calls of one answer, as far as they were told."""

    def __init__(self) -> None:
        self._told: list[_Told] = []
        self._waiting = 0
        self._length = 0

    def grown(self, length: int, answer: AnswerSoFar) -> Sequence[Grown]:
        """What is new after a delta of `length` characters; nothing while it is not worth looking."""
        self._waiting += length
        if length and self._waiting * COARSE < self._length:
            return ()
        self._length += self._waiting
        self._waiting = 0
        return self._fresh(answer().tool_calls, whole=False)

    def rest(self, calls: Sequence[ToolCall]) -> Sequence[Grown]:
        """What has not been told when the answer is complete."""
        return self._fresh(calls, whole=True)

    def _fresh(self, calls: Sequence[ToolCall], *, whole: bool) -> Sequence[Grown]:
        found: list[Grown] = []
        for index, call in enumerate(calls):
            if not call.name and not whole:
                break  # its name is still to come, and calls are told in order
            arguments = call.arguments if whole else call.arguments.rstrip("\ufffd")  # half a pair: wait for the other
            if first := index == len(self._told):
                self._told.append(_Told(call.id, call.name, 0))
            told = self._told[index]
            piece = arguments[told.length :] or ("{}" if whole and not arguments and not told.length else "")
            if first or piece:
                told.length = len(arguments)
                found.append(Grown(index, ToolCall(told.id, told.name, arguments), piece, first))
        return found
