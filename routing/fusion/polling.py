"""Asking a panel: a first wave at once, then one more at a time until the stop rule is content; the rest is left alone.

Above: `fusion.py` says who, how many and until when. Below: `ask_one` asks one member and never raises a refusal.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import inf

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .stopping import Weigh, stops
from .types import Ballot, Member, StopRule

AskOne = Callable[[Member, int, int], Awaitable[Ballot]]  # member, its number, how many share what is left of the money
_LOST = ("failed", "refused", "unaffordable")  # known at once: the next is asked without waiting for the others


@dataclass(frozen=True, slots=True)
class Terms:
    """When polling ends. `first`: asked at once (0: all); `keyed`: equal keys may end it early, else `first` answers do."""

    rule: StopRule
    first: int
    keyed: bool
    weigh: Weigh
    patience_s: float = 1.0


@dataclass(slots=True)
class Polling:
    """One panel being asked. `heard` in order of arrival; who is left out says why in its ballot."""

    members: Sequence[Member]
    terms: Terms
    ask_one: AskOne
    arrived: Callable[[Sequence[Ballot], int], None]
    heard: list[Ballot] = field(default_factory=list[Ballot])
    left_alone: list[Ballot] = field(default_factory=list[Ballot])
    asked: int = 0
    stopped_early: bool = False

    async def run(self, seconds: float) -> None:
        """Ask until enough is heard, nobody is left, or the time is over; whoever is still out then is cancelled."""
        send, receive = anyio.create_memory_object_stream[Ballot](len(self.members) or 1)
        with send, receive, anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                await self._rounds(group, send, receive)
                group.cancel_scope.cancel()
        late = [member for member in self._out() if member in self.members[: self.asked]]
        self.left_alone += [Ballot(m, "cancelled", reason="it had not answered when the rest was enough") for m in late]

    async def _rounds(
        self,
        group: anyio.abc.TaskGroup,
        send: MemoryObjectSendStream[Ballot],
        receive: MemoryObjectReceiveStream[Ballot],
    ) -> None:
        started = anyio.current_time()
        self._more(group, send, self.terms.first or len(self.members))
        while self.asked > len(self.heard):
            with anyio.move_on_after(self._patience(started)):
                self.heard.append(await receive.receive())
                self.arrived(self.heard, self.asked)
                if self._enough():
                    self.stopped_early = self.asked < len(self.members) or self.asked > len(self.heard)
                    return
                self._more(group, send, self._wanted())
                continue
            self.stopped_early = True  # decided, and patience with the stragglers is over
            return

    def _more(self, group: anyio.abc.TaskGroup, send: MemoryObjectSendStream[Ballot], count: int) -> None:
        wave = self.members[self.asked : self.asked + count]
        left = len(self.members) - self.asked - len(wave)
        for member in wave:
            self.asked += 1
            group.start_soon(self._one, send, member, self.asked, len(wave) + (left > 0))

    async def _one(self, send: MemoryObjectSendStream[Ballot], member: Member, number: int, sharing: int) -> None:
        await send.send(await self.ask_one(member, number, sharing))

    def _enough(self) -> bool:
        return self.terms.keyed and stops(self.terms.rule, self.heard, self._out(), self.terms.weigh)

    def _out(self) -> list[Member]:
        heard = {ballot.member.name for ballot in self.heard}
        return [member for member in self.members if member.name not in heard]

    def _wanted(self) -> int:
        """How many more to ask now."""
        out = self.asked - len(self.heard)
        if self.heard[-1].status in _LOST:
            return 1
        if out:
            return 0
        answered = sum(ballot.found is not None for ballot in self.heard)
        target = self.terms.first or len(self.members)
        return 1 if self.terms.keyed else max(0, target - answered)

    def _patience(self, started: float) -> float:
        """Seconds to wait for the next: without end, unless it is decided and only stragglers are out."""
        if self.asked < len(self.members) or not self.heard or not self.terms.keyed:
            return inf
        if not stops("decided", self.heard, self._out(), self.terms.weigh):
            return inf
        return max(self.terms.patience_s, anyio.current_time() - started)
