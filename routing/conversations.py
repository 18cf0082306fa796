"""Conversations: an answer's id is the handle to go on from it. Durable, newest turns first, within a budget of tokens.

A turn holds what the caller said and what was answered, once; a thread is the chain of parents, so it can branch.
"""

from collections.abc import Callable
from dataclasses import replace

from providers.types import Answer, Message, Part, Text

from .errors import InvalidRequest
from .store.archive import Archive, Record
from .store.codec import Turn, pack, unpack
from .types import Ask

TURNS = 200  # longest way back through a thread

Count = Callable[[tuple[Message, ...]], int]


class Conversations:
    """Reads threads back from the archive. Above it: whoever prepares an ask; beneath it: receipts with their turns."""

    def __init__(self, archive: Archive, count: Count) -> None:
        self._archive = archive
        self._count = count

    async def recalled(self, ask: Ask, tokens: int) -> Ask:
        """The ask with its thread's newest turns, at most `tokens` of them, before its own messages.

        Raises InvalidRequest for a handle that is unknown, another caller's, or whose text is not kept.
        """
        if ask.conversation is None:
            return ask
        history = await self._history(ask.conversation, ask.caller, tokens)
        messages = (*history, *ask.request.messages)
        return replace(ask, request=replace(ask.request, messages=messages), history=len(history))

    async def _history(self, handle: str, caller: str, tokens: int) -> tuple[Message, ...]:
        history: tuple[Message, ...] = ()
        for _ in range(TURNS):
            record = await self._archive.read(handle, caller)
            turn = _turn(record)
            if turn is None:
                if not history:
                    raise _unknown(handle)
                break
            tokens -= self._count(turn)
            if tokens < 0:
                break
            history = turn + history
            if record is None or record.parent is None:
                break
            handle = record.parent
        return history


def packed_turn(ask: Ask) -> bytes:
    """What the caller said in this turn, without the history that was put before it."""
    return pack(Turn(ask.request.messages[ask.history :]))


def _turn(record: Record | None) -> tuple[Message, ...] | None:
    if record is None or record.turn is None or record.answer is None:
        return None
    said, answer = unpack(record.turn, Turn), unpack(record.answer, Answer)
    return None if said is None or answer is None else (*said.messages, _spoken(answer))


def _spoken(answer: Answer) -> Message:
    parts: tuple[Part, ...] = (*answer.reasoning, *((Text(answer.text),) if answer.text else ()), *answer.tool_calls)
    return Message("assistant", parts)


def _unknown(handle: str) -> InvalidRequest:
    return InvalidRequest(
        f"there is no conversation {handle[:40]!r} to go on from",
        hint="pass the `id` of an earlier answer of yours, or leave `conversation` out to start a new one",
    )
