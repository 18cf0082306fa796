"""No answer tells a key, whoever asks and however it comes: whole, in pieces, or as drafts on the way.

A provider may echo the key it was asked with, and cut it anywhere: what may be the beginning of a key waits for the next
piece. Around the manager, so that tools, doors and commands need not think of it.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from providers.types import Answer, Delta
from routing.events import Progressed, Tell, silent
from routing.types import Ask, Receipt, Result

from .redaction import Redactor


class Manager(Protocol):
    """What is wrapped: `routing.manager.ProviderManager`."""

    async def generate(self, ask: Ask, tell: Tell = ...) -> Result: ...

    def stream(self, ask: Ask) -> AbstractAsyncContextManager[Any]: ...

    async def explain(self, ask: Ask) -> Receipt: ...


class Veil:
    """One text in pieces: keys are taken out, and `rest` gives what was held back at its end."""

    def __init__(self, redactor: Redactor) -> None:
        self._known = redactor.known
        self._begun = redactor.beginnings()
        self._held = ""

    def __call__(self, piece: str) -> str:
        """What may be shown now."""
        if not self._begun:
            return piece
        text = self._known(self._held + piece)
        shown = len(text) - begun(text, self._begun)
        self._held = text[shown:]
        return text[:shown]

    def rest(self) -> str:
        """What was held back: the text has ended, so it is no key."""
        held, self._held = self._held, ""
        return held


def begun(text: str, beginnings: frozenset[str]) -> int:
    """How many characters at the end of the text may be the beginning of a key."""
    held = ""
    for character in text:
        if not held and character not in beginnings:  # nearly every one
            continue
        held += character
        while held and held not in beginnings:
            held = held[1:]
    return len(held)


def cleaned(redactor: Redactor, answer: Answer) -> Answer:
    """The answer without keys."""
    known = redactor.known
    if not answer.tool_calls and not answer.reasoning and known(answer.text) is answer.text:
        return answer
    calls = tuple(replace(call, arguments=known(call.arguments)) for call in answer.tool_calls)
    thoughts = tuple(replace(thought, text=known(thought.text)) for thought in answer.reasoning)
    return replace(answer, text=known(answer.text), tool_calls=calls, reasoning=thoughts)


def without_keys(redactor: Redactor, result: Result) -> Result:
    """The result without keys: itself where it tells none."""
    answer = cleaned(redactor, result.answer)
    return result if answer is result.answer else replace(result, answer=answer)


@dataclass(frozen=True, slots=True)
class Veiled:
    """A manager whose answers tell no key."""

    redactor: Redactor
    beneath: Manager

    async def generate(self, ask: Ask, tell: Tell = silent) -> Result:
        """As beneath."""
        result = await self.beneath.generate(ask, tell if tell is silent else self._told(tell))
        return without_keys(self.redactor, result)

    def stream(self, ask: Ask) -> AbstractAsyncContextManager["VeiledStream"]:
        """As beneath."""
        return _Veiling(self.redactor, self.beneath.stream(ask))

    async def explain(self, ask: Ask) -> Receipt:
        """As beneath: nobody was asked."""
        return await self.beneath.explain(ask)

    def _told(self, tell: Tell) -> Tell:
        drafts: dict[int, Veil] = {}

        def told(progress: Progressed) -> None:
            if progress.text:
                veil = drafts.get(progress.draft) or drafts.setdefault(progress.draft, Veil(self.redactor))
                shown = veil(progress.text)
                progress = progress if shown == progress.text else replace(progress, text=shown)
            tell(progress)

        return told


class _Veiling:
    """The way to a stream beneath; what it leads to is veiled."""

    __slots__ = ("_redactor", "_way")

    def __init__(self, redactor: Redactor, way: AbstractAsyncContextManager[Any]) -> None:
        self._redactor = redactor
        self._way = way

    async def __aenter__(self) -> "VeiledStream":
        return VeiledStream(self._redactor, await self._way.__aenter__())

    async def __aexit__(self, *how: Any) -> bool | None:
        return await self._way.__aexit__(*how)


class VeiledStream:
    """A live answer as `routing.streamed` has it, without keys."""

    def __init__(self, redactor: Redactor, live: Any) -> None:
        self._redactor = redactor
        self._live = live
        self._veil = Veil(redactor)
        self._kind: Any = "text"
        self._ready: deque[Delta] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if not self._ready:
            self._ready.extend(await self.several())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def several(self) -> Sequence[Delta]:
        """What may be shown of what came together, none at the end."""
        while not self._ready:
            came = await self._live.several()
            for delta in came:
                self._take(delta)
            if not came:
                self._end()
                break
        shown = tuple(self._ready)
        self._ready.clear()
        return shown

    @property
    def answer(self) -> Answer:
        """What stands so far, without what may still become a key at the end of a call."""
        beginnings = self._redactor.beginnings()
        answer = self._live.answer
        if not beginnings:
            return answer
        safe = cleaned(self._redactor, answer)
        return replace(
            safe, tool_calls=tuple(replace(c, arguments=_sure(c.arguments, beginnings)) for c in safe.tool_calls)
        )

    @property
    def id(self) -> str:
        """The receipt's id."""
        return self._live.id

    @property
    def model(self) -> str:
        """Who answers."""
        return self._live.model

    @property
    def result(self) -> Result:
        """Answer and receipt at the end."""
        result: Result = self._live.result
        return without_keys(self._redactor, result)

    def _take(self, delta: Delta) -> None:
        kind, text = delta
        if kind == "alive":
            self._ready.append(delta)
            return
        if kind != self._kind:
            self._end()
            self._kind = kind
        if kind == "tool":
            self._ready.append(delta)  # its text is never shown, only how much came: the call is read from `answer`
        elif shown := self._veil(text):
            self._ready.append(delta if shown == text else Delta(kind, shown))

    def _end(self) -> None:
        if rest := self._veil.rest():
            self._ready.append(Delta(self._kind, rest))


def _sure(text: str, beginnings: frozenset[str]) -> str:
    return text[: len(text) - begun(text, beginnings)]
