"""The words of routing: who can be asked, what was asked for, what happened.

Money is integer nano-dollars (1 USD = 1e9) wherever it is counted, USD floats only where it is shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from providers.types import Answer, Capability, Effort, ModelCard, Price, Provider, Request, Usage

NANO = 1_000_000_000  # nano-dollars in a dollar

CacheMode = Literal["use", "refresh", "off"]
Cached = Literal["no", "exact", "semantic", "joined", "replayed"]
CostBasis = Literal["reported", "priced", "estimated", "unpriced"]
Status = Literal["available", "degraded", "open", "limited", "no_key", "retired"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model at one provider: the unit that is ranked, balanced and paid.

    `endpoint` names provider × credential × base URL: the unit that has limits, a breaker and cooldowns.
    `group` is the model's name across providers (aliases resolved), so that equals find each other.
    """

    provider: str
    model: str
    endpoint: str
    card: ModelCard
    price: Price | None
    opener: Provider
    priority: int = 0
    weight: float = 1.0
    group: str = ""
    region: str = ""
    local: bool = False
    simulated: bool = False
    status: Status = "available"
    zone: str = "WOR"  # ISO alpha-3 of the electricity mix
    name: str = field(init=False, repr=False, compare=False)  # `provider/model`, the exact name
    unit: str = field(
        init=False, repr=False, compare=False
    )  # this one model at its endpoint, for what is kept per both

    def __post_init__(self) -> None:
        """Both names are asked for a dozen times a decision: made once."""
        object.__setattr__(self, "name", f"{self.provider}/{self.model}")
        object.__setattr__(self, "unit", f"{self.endpoint}#{self.model}")


@dataclass(frozen=True, slots=True)
class Ask:
    """One `generate` as the caller meant it: what a model shall be told, and the envelope around it.

    `max_cost_usd` covers everything done for this ask; `deadline_s` is seconds from now for all attempts;
    `caller` is the token's name, else the client's; `sources` names context servers (see the contract).
    `part_of` is the id of the fuse (or batch) this ask is a member of: its money comes from that envelope.
    """

    request: Request
    model: str = "auto"
    strategy: str | None = None
    task: str | None = None
    require: frozenset[Capability] = frozenset()
    min_quality: float | None = None
    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    deadline_s: float | None = None
    caller: str = "local"
    request_id: str | None = None
    conversation: str | None = None
    cache: CacheMode | None = None
    hedge: bool = False
    allow_truncated: bool = False
    sources: tuple[str, ...] = ("auto",)
    part_of: str | None = None
    id: str = ""
    key: str = ""  # canonical digest of the caller's own arguments, for replay
    exclude_families: frozenset[str] = frozenset()
    allowed_models: tuple[str, ...] = ()  # glob patterns of the caller's token; empty = all
    secrets_allowed: bool = False  # a person let this one carry what looks like a secret
    warnings: tuple[str, ...] = ()  # what was found or changed on the way to the models; the receipt tells it
    any_region: bool = False  # a person let this one leave the allowed regions
    local_only: bool = False  # set when a context source may not leave the machine
    context: tuple["ContextUse", ...] = ()
    history: int = 0  # how many leading messages of the request were recalled from its conversation


@dataclass(frozen=True, slots=True)
class ContextUse:
    """What one upstream contributed to a prompt. `resources` are names such as `tool:read_file` or a URI."""

    server: str
    resources: tuple[str, ...] = ()
    tokens: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A deployment that may not serve this ask now, and why. `returns_s`: seconds until it may, where that is known.

    `code` is the refusal this would be if it were the only reason (`no_model`, `budget_exceeded`, `rate_limited`, …).
    """

    deployment: Deployment
    why: str
    returns_s: float | None = None
    code: str = "no_model"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a model name stands for. `steps` are tried in order: the model's own deployments, equivalents, fallbacks.

    `exact` (`provider/model`): nothing else may serve it. `auto`: the strategy chooses among all of `steps[0]`.
    """

    name: str
    steps: tuple[tuple[Deployment, ...], ...]
    exact: bool = False
    auto: bool = False
    warnings: tuple[str, ...] = ()
    strategy: str | None = None  # set by a task label that names one
    kind: str | None = None  # task kind set by a task label
    effort: Effort | None = None  # what makes a successor behave as the old id did (deepseek-chat did not think)


def unknown_grams(deployment: Deployment) -> None:
    """Nobody knows."""
    del deployment


UNKNOWN: Mapping[str, float] = MappingProxyType({})


class Signals(NamedTuple):
    """What is known of deployments from traffic, keyed by `Deployment.name`: seconds, shares 0..1, counts.

    `cost_usd` and `time_s` are what this very ask should cost and take at each candidate, unknowns filled in; `grams`
    says how much CO2e it should cause, low and high, None where nobody knows.
    """

    latency_s: Mapping[str, float] = UNKNOWN
    ttft_s: Mapping[str, float] = UNKNOWN
    tokens_per_s: Mapping[str, float] = UNKNOWN
    success: Mapping[str, float] = UNKNOWN
    outstanding: Mapping[str, int] = MappingProxyType({})
    input_tokens: int = 0
    output_tokens: int = 0
    kind: str = "default"  # task kind of this ask: the key into ModelCard.quality
    weights: Mapping[str, float] = UNKNOWN
    cost_usd: Mapping[str, float] = UNKNOWN
    time_s: Mapping[str, float] = UNKNOWN
    grams: Callable[[Deployment], tuple[float, float] | None] = unknown_grams


@dataclass(frozen=True, slots=True)
class Ranking:
    """A strategy's verdict: best first with a score 0..1 each (higher is better), in words why; some carry a plan."""

    ranked: tuple[tuple[Deployment, float], ...]
    reason: str
    excluded: tuple[Exclusion, ...] = ()
    plan: "CascadePlan | None" = None


@dataclass(frozen=True, slots=True)
class CascadePlan:
    """Ask these cheap ones; equal answer keys are the answer, else the strong one decides."""

    cheap: tuple[Deployment, ...]
    strong: Deployment


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one deployment, as the receipt tells it. `outcome` is `ok` or an error kind of ours."""

    provider: str
    model: str
    outcome: str
    reason: str = ""
    latency_s: float = 0.0
    cost_usd: float | None = 0.0
    cost_basis: CostBasis = "priced"
    usage: Usage = Usage()
    hedge: bool = False


UNASKED = "max_tokens was not given"  # how the warning begins that stands in most receipts and helps few readers


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there was no answer: a refusal's code of the contract, its words, the next thing to do."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to an ask: choice, reasons, attempts, usage, money. Fields as in the contract's §3."""

    id: str
    conversation: str = ""
    provider: str = ""
    model: str = ""
    model_returned: str = ""
    strategy: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    cost_basis: CostBasis = "priced"
    estimated_cost_usd: float | None = None
    latency_s: float = 0.0
    ttft_s: float | None = None
    cached: Cached = "no"
    simulated: bool = False
    attempts: tuple[Attempt, ...] = ()
    fallbacks: tuple[str, ...] = ()
    excluded: tuple[Exclusion, ...] = ()  # the 20 nearest
    excluded_count: int = 0
    context: tuple[ContextUse, ...] = ()
    carbon_g: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    caller: str = "local"
    task: str = ""
    at: float = 0.0  # seconds since the epoch
    similarity: float | None = None  # of a semantic cache hit
    candidates: tuple[tuple[str, float], ...] = ()  # explain: names and scores, best first
    refusal: Reason | None = None  # of one that is kept: the refusal that carries a receipt says it itself


@dataclass(frozen=True, slots=True)
class Result:
    """An answer and its receipt. `packed` has the bytes they became where they were stored already."""

    answer: Answer
    receipt: Receipt
    packed: "Callable[[object], bytes] | None" = field(default=None, compare=False, repr=False)
