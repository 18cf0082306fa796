"""Reading the ledger: sums and samples over a stretch of time. Engines implement `Books`; `routing/costs` reports.

Money is integer nano-dollars, times are seconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

HOUR_S, DAY_S = 3_600, 86_400
SAMPLES = 20_000  # latencies that are enough for any median
BUCKET_S = 900  # quarters of an hour: every time zone's midnight lies on one


class Line(NamedTuple):
    """All attempts alike in a quarter of an hour. `calls` were sent, `ok` of them answered."""

    at: int
    provider: str
    model: str
    caller: str
    task: str
    servers: str
    asked: str
    simulated: bool
    calls: int
    ok: int
    nano: int
    input: int
    output: int
    cached_input: int
    cache_write: int
    reasoning: int
    unpriced: int
    uncertain_nano: int
    max_tokens: int
    ok_output: int  # output of the answered ones, to set against max_tokens


class Sample(NamedTuple):
    """The latency of one answered attempt, in seconds."""

    at: float
    provider: str
    model: str
    caller: str
    task: str
    servers: str
    latency: float


class Repeat(NamedTuple):
    """Attempts at one model whose long prompts begin alike."""

    provider: str
    model: str
    calls: int
    input: int
    cached_input: int


class Told(NamedTuple):
    """Provider-reported cost against the tariff's, of one model."""

    provider: str
    model: str
    calls: int
    reported: int
    computed: int


@dataclass(frozen=True, slots=True)
class Habits:
    """What recommendations stand on: repeated prefixes, repeated questions and long histories."""

    prefixes: tuple[Repeat, ...] = ()
    questions: int = 0  # asks that were the same as an earlier one
    questions_nano: int = 0  # what those cost
    histories: tuple[Repeat, ...] = ()  # attempts with 20 recalled messages or more
    told: tuple[Told, ...] = ()


Tally = tuple[int, int, float]  # how often, nano-dollars, sum of a value


class Books(Protocol):
    """What was spent, as committed."""

    async def lines(self, since: float, until: float, *, day: int | None = None) -> Sequence[Line]:
        """Sums of all attempts reserved in [since, until), by quarters of an hour.

        With `day` (any midnight) by days of 24 hours from it on: forty times fewer over a month, and as much faster.
        """
        ...

    async def first(self) -> float:
        """When the oldest attempt was reserved; now where there is none."""
        ...

    async def samples(self, since: float, until: float) -> Sequence[Sample]:
        """Latencies, of the newest 20,000 answered attempts at most."""
        ...

    async def habits(self, since: float, until: float) -> Habits:
        """Patterns over the same stretch."""
        ...

    async def tallies(self, since: float, until: float) -> dict[str, Tally]:
        """Counters by kind, whole hours."""
        ...


class Counters(Protocol):
    """Counts of what costs nothing: cache hits, fusions. May lose the last half second when a process is killed."""

    def count(self, kind: str, *, nano: int = 0, value: float = 0.0) -> None:
        """One more of this kind, without waiting."""
        ...
