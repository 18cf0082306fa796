"""The words of fusion: who is on a panel, what each said, how answers are grouped, what a method decides."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..types import Deployment, Receipt
from .answers import Found, Spec
from .weights import weight

BallotStatus = Literal["answered", "abstained", "truncated", "refused", "failed", "cancelled", "unaffordable"]
StopRule = Literal["agree2", "decided", "full"]
Basis = Literal["default-table", "calibrated", "judge", "none"]


@dataclass(frozen=True, slots=True)
class Member:
    """A deployment on the panel. `quality` is its expected accuracy (0..1) for this kind of task."""

    deployment: Deployment
    quality: float

    @property
    def name(self) -> str:
        """`provider/model`."""
        return self.deployment.name


@dataclass(frozen=True, slots=True)
class Ballot:
    """What one asked member said. Without `found` it joins no group: an abstention, whatever the reason."""

    member: Member
    status: BallotStatus
    text: str = ""
    found: Found | None = None
    reason: str = ""
    receipt: Receipt | None = None

    @property
    def key(self) -> str | None:
        """The canonical answer, None for an abstention."""
        return self.found.key if self.found else None


@dataclass(frozen=True, slots=True)
class Group:
    """Members whose answers are the same. `ballots` best member first; the first speaks for all."""

    key: str
    ballots: tuple[Ballot, ...]
    weight: float

    @property
    def speaker(self) -> Ballot:
        """Whose text is shown."""
        return self.ballots[0]


@dataclass(frozen=True, slots=True)
class Poll:
    """Everything a method may look at. `seed` shuffles what a judge sees; `rule` is when polling was to stop."""

    question: str
    spec: Spec
    ballots: tuple[Ballot, ...]
    seed: int = 0
    rule: StopRule = "full"


@dataclass(frozen=True, slots=True)
class Consult:
    """A method's wish: ask the judge this. The reply is its text, or None where no judge answered."""

    prompt: str
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """A method's wish: turn these texts into vectors. The reply is one per text, or None where no embedder answered."""

    texts: tuple[str, ...]


Wish = Consult | Embed
Reply = str | Sequence[Sequence[float]] | None
Deciding = Generator[Wish, Reply, "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a method decided: groups heaviest first, the winner if there is one, `text` where it is nobody's own words.

    `judged`: a judge or an embedder compared the answers; `standing` overrides what counting the groups would say;
    `trouble` says what went wrong on the way.
    """

    groups: tuple[Group, ...]
    winner: Group | None = None
    text: str | None = None
    judged: bool = False
    standing: Literal["agreed", "majority", "split"] | None = None
    trouble: str = ""
    analysis: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


@dataclass(frozen=True, slots=True)
class Method:
    """A way to make one answer of many. `decide` does no I/O: it yields wishes and is sent the replies.

    `keyed`: it counts equal keys, so polling may stop early and the tables of `confidence.py` apply; `judged`: it
    wishes for a judge; `collects`: it leaves the answer to the host. `weigh` is a member's weight by its quality;
    `note` is what a user should know before choosing it.
    """

    decide: Callable[[Poll], Deciding]
    keyed: bool = False
    judged: bool = False
    collects: bool = False
    weigh: Callable[[float], float] = weight
    note: str = ""
