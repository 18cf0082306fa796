"""Which asks an experiment concerns and which it draws. Pure: the same ask is drawn by every process, always."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

from ..types import Ask

CALLER = "experiment:"  # shadows are booked under this name, so that a budget holds for them and nobody else pays


@dataclass(frozen=True, slots=True)
class Experiment:
    """`share` (0..1) of the asks for `of` go to the arm: instead (`split`), or besides and unseen (`shadow`).

    The arm is another `model` name, another `strategy`, or both. `daily_usd` is all that shadows may spend in a day.
    """

    name: str
    kind: Literal["shadow", "split"]
    share: float
    of: str = "auto"
    model: str | None = None
    strategy: str | None = None
    daily_usd: float = 1.0

    @property
    def caller(self) -> str:
        """Whom its shadows are booked under."""
        return f"{CALLER}{self.name}"

    @property
    def arm(self) -> str:
        """The arm in words."""
        said = [self.model] if self.model else []
        return " with ".join([*said, *([f"strategy {self.strategy}"] if self.strategy else [])])

    def concerns(self, ask: Ask) -> bool:
        """Whether this ask could be either arm's: it asks for `of`, and its caller left the strategy open."""
        return ask.part_of is None and ask.model == self.of and ask.strategy is None

    def draws(self, ask: Ask) -> bool:
        """Whether the arm gets this one: by conversation, else by the caller's own arguments, so that a repeat stays."""
        unit = ask.conversation or ask.request_id or ask.key or ask.id
        digest = blake2b(f"{self.name}\0{ask.caller}\0{unit}".encode(errors="replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") / (1 << 64) < self.share

    def armed(self, ask: Ask) -> Ask:
        """The ask as the arm gets it."""
        return replace(ask, model=self.model or ask.model, strategy=self.strategy or ask.strategy)

    def shadowed(self, ask: Ask, id: str) -> Ask:  # noqa: A002
        """The same for nobody's eyes: no replay, no cache, no thread, and its own purse."""
        plain = replace(ask, id=id, caller=self.caller, request_id=None, conversation=None, key="", cache="off")
        return self.armed(replace(plain, hedge=False, warnings=()))


def split_for(experiments: Sequence[Experiment], ask: Ask) -> Experiment | None:
    """The one that may split this ask: the first that concerns it, so that two never blur each other."""
    return next((one for one in experiments if one.kind == "split" and one.concerns(ask)), None)


def shadows_for(experiments: Sequence[Experiment], ask: Ask) -> tuple[Experiment, ...]:
    """Those that want to see what their arm would have said."""
    return tuple(one for one in experiments if one.kind == "shadow" and one.concerns(ask) and one.draws(ask))
