"""Which deployment has read the beginning of a prompt lately: there its provider's prompt cache makes it cheap.

Evidence only: an answer within the time caches live. Among equals the holder goes first (`lean`), and only to it is sent
the mark that makes a provider keep a prefix for money. Never overrides limits, health or budgets: whoever is held back
is not among the equals. In memory, per process.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from providers.types import Message, Request, Text

from .ports import Balancer
from .types import Deployment

PREFIX = 4096  # characters: about the 1,024 tokens from which providers cache prefixes
TTL_S = 300.0  # what Anthropic and OpenAI promise at least
REMEMBERED = 4096
BUSY = 8  # calls a holder may have on its way beyond the idlest of its equals


def prefix(request: Request) -> str:
    """A digest of a long prompt's first 4,096 characters, empty for short ones: nothing readable."""
    pieces, length = [request.system], len(request.system)
    for message in request.messages:
        if length >= PREFIX:
            break
        pieces.append(message.text)
        length += len(message.text)
    if length < PREFIX:
        return ""
    return hashlib.blake2b("\0".join(pieces)[:PREFIX].encode(errors="replace"), digest_size=8).hexdigest()


@dataclass(slots=True)
class Prefixes:
    """Who answered last to what begins like this. Keys are those of `prefix`; `clock` is monotonic seconds."""

    clock: Callable[[], float]
    _seen: OrderedDict[str, tuple[str, float]] = field(default_factory=OrderedDict[str, tuple[str, float]])

    def answered(self, key: str, name: str) -> None:
        """The deployment of this name has read a prompt of this prefix."""
        if key:
            self._seen[key] = name, self.clock()
            self._seen.move_to_end(key)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def holder(self, key: str) -> tuple[str, float] | None:
        """Who holds this prefix, and for how many seconds it has."""
        found = self._seen.get(key)
        if found is None or (age := self.clock() - found[1]) >= TTL_S:
            return None
        return found[0], age

    def hinted(self, request: Request, key: str, name: str) -> Request:
        """The request with what helps this deployment's provider to find its prefix again."""
        if not key:
            return request
        affinity, found = request.prompt_cache_key or f"plenum-{key}", self.holder(key)
        if found is None or found[0] != name:
            return replace(request, prompt_cache_key=affinity)
        marked = _marked(request.messages)
        return replace(request, prompt_cache_key=affinity, messages=marked, cache_system=bool(request.system))


@dataclass(slots=True)
class Lean:
    """A balancer that lets the holder of the prefix go first where it is one of the equals. `evidence` says that it did."""

    base: Balancer
    held: tuple[str, float] | None
    outstanding: Mapping[str, int]
    evidence: str = ""

    def order(self, group: Sequence[Deployment]) -> Sequence[Deployment]:
        """The holder first, unless it is busier than the others; else as the balancer says."""
        first = next((d for d in group if self.held and d.name == self.held[0]), None)
        if first is None or self.held is None or self._busy(first, group):
            return self.base.order(group)
        self.evidence = (
            f"; {first.name} read this prompt's beginning {self.held[1]:.0f} s ago, so its cache may hold it"
        )
        return [first, *(d for d in group if d is not first)]

    def _busy(self, first: Deployment, group: Sequence[Deployment]) -> bool:
        running = self.outstanding.get
        return running(first.name, 0) > min(running(d.name, 0) for d in group) + BUSY


def _marked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Marks where what is stable ends beside the instructions: after all turns but the last."""
    return (*messages[:-2], _until_here(messages[-2]), messages[-1]) if len(messages) > 1 else messages


def _until_here(message: Message) -> Message:
    *before, last = message.parts or (None,)
    if not isinstance(last, Text):
        return message
    return replace(message, parts=(*message.parts[: len(before)], replace(last, cache_until_here=True)))
