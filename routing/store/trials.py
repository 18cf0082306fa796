"""What became of asks that took part in an experiment: durable rows without text, compared by `routing/experiments`.

Also the finished asks themselves, as much of them as a counterfactual replay needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Arm = Literal["control", "arm"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One ask of one arm. `pair` is the caller's own ask of a shadow pair, empty where a request was split.

    `nano` is nano-dollars, None where nobody knows the price; `faults` counts attempts whose answer broke the contract;
    `agreement` (0..1, on the arm's row of a pair) says how far both answers agree, `basis` how that was seen.
    """

    experiment: str
    id: str
    arm: Arm
    at: float
    model: str = ""
    ok: bool = True
    code: str = ""
    nano: int | None = None
    latency_s: float = 0.0
    faults: int = 0
    pair: str = ""
    agreement: float | None = None
    basis: str = ""


class Past(NamedTuple):
    """A finished ask: its packed receipt, what its caller said if that is kept, and the model name asked for."""

    body: bytes
    turn: bytes | None
    asked: str


class Trials(Protocol):
    """All trials, and the past they are not part of."""

    def note(self, trial: Trial) -> None:
        """Write it down without waiting. May be lost with the last half second of a process that is killed."""
        ...

    async def since(self, at: float) -> Sequence[Trial]:
        """Every trial from then on, oldest first."""
        ...

    async def arm(self, experiment: str, id: str) -> Arm | None:  # noqa: A002
        """Which arm of this experiment served the ask with this id."""
        ...

    async def past(self, since: float, limit: int) -> Sequence[Past]:
        """The newest finished asks from then on, oldest first."""
        ...
