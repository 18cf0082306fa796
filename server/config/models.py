"""The shape of `plenum.toml`, as in the contract's §2. Unknown keys are errors; every default is said here."""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .values import BaseUrl, Count, Issuer, Number, Seconds, Share, Usd, Zone

DEFAULT_DAILY_USD = 10.0  # contract §2: the budget of those who set none
CapabilityName = Literal["streaming", "tools", "json", "vision", "reasoning", "embeddings", "sampling"]


def _shape(value: Any) -> str:
    return "table" if isinstance(value, dict | BaseModel) else "value"


# One error per fault: a plain union would report every branch it tried.
_by_shape = Discriminator(_shape)


class Section(BaseModel):
    """A strict, frozen table that never prints its input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


class PriceTable(Section):
    """USD per million tokens."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None


class ModelTable(Section):
    """`[[providers.NAME.models]]`: what the user says of one model; the rest comes from `base` or the catalogue."""

    id: Annotated[str, Field(min_length=1)]
    context_window: Count | None = None
    max_output: Count | None = None
    capabilities: frozenset[CapabilityName] | None = None
    price: PriceTable | None = None
    quality: Annotated[
        Annotated[Share | None, Tag("value")] | Annotated[dict[str, Share], Tag("table")],
        _by_shape,
    ] = None
    base: str | None = None
    family: str | None = None
    rpm: Count | None = None
    tpm: Count | None = None
    path: str | None = None  # a local GGUF file (dialect "local")
    deployment: str | None = None  # azure: the deployment's name


class ModelFilter(Section):
    """Glob patterns on model ids."""

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()


class HealthTable(Section):
    """Active checks of a provider; passive signals are always used."""

    enabled: bool = False
    interval_s: Seconds = 60
    timeout_s: Seconds = 5
    endpoint: str = "/models"


class ProviderTable(Section):
    """`[providers.NAME]`. A known name needs only its key; anything else names its dialect."""

    enabled: bool = True
    dialect: str | None = None
    base_url: BaseUrl | None = None
    allow_http: bool = False
    api_key: Annotated[str | None, Field(repr=False)] = None
    api_key_env: str | None = None
    priority: int = 0
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    organization: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    models: Annotated[
        Annotated[tuple[ModelTable, ...], Tag("value")] | Annotated[ModelFilter, Tag("table")], _by_shape
    ] = ()
    rpm: Count | None = None
    tpm: Count | None = None
    rpd: Count | None = None
    concurrency: Count | None = None
    timeout_s: Seconds = 60
    ca_bundle: str | None = None
    region: str = ""
    zone: str | None = None
    health: HealthTable = HealthTable()
    members: tuple[str, ...] = ()
    api_version: str | None = None
    quirks: tuple[str, ...] = ()
    batch: Literal["openai", "anthropic", "gemini", "mistral"] | None = None  # whose batch endpoint it has

    @field_validator("models")
    @classmethod
    def _once(cls, value: "tuple[ModelTable, ...] | ModelFilter") -> "tuple[ModelTable, ...] | ModelFilter":
        ids = [model.id for model in value] if isinstance(value, tuple) else []
        if len(set(ids)) < len(ids):
            raise ValueError("a model stands here twice")
        return value

    @field_validator("headers")
    @classmethod
    def _no_line_breaks(cls, value: dict[str, str]) -> dict[str, str]:
        if any(c in text for pair in value.items() for text in pair for c in "\r\n\0"):
            raise ValueError("a header may not hold line breaks")
        return value


class ProvidersTable(Section):
    """`[providers]`: `auto` finds providers by their well-known key variables and local engines by their ports."""

    auto: bool = True
    table: dict[str, ProviderTable] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, data: Any) -> Any:
        if not isinstance(data, dict) or set(cast("dict[str, Any]", data)) <= {"auto", "table"}:
            return cast("Any", data)
        tables = cast("dict[str, Any]", data)
        return {"auto": tables.get("auto", True), "table": {k: v for k, v in tables.items() if k != "auto"}}

    @model_serializer(mode="wrap")
    def _joined(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As the file has it: every provider beside `auto`."""
        told = handler(self)
        return {**{k: v for k, v in told.items() if k != "table"}, **told.get("table", {})}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """As the file has it, so that an editor knows `[providers.NAME]`."""
        told = handler.resolve_ref_schema(handler(schema))
        told["additionalProperties"] = told["properties"].pop("table")["additionalProperties"]
        return told


class WeightsTable(Section):
    """Of `balanced`; they are normalised."""

    cost: Share = 0.35
    quality: Share = 0.40
    performance: Share = 0.25


class TaskTable(Section):
    """What a task label stands for, when it is more than a model's name."""

    kind: str | None = None
    model: str | None = None
    strategy: str | None = None
    min_quality: Share | None = None


class RoutingTable(Section):
    """`[routing]`."""

    model: str = "auto"
    strategy: str = "balanced"
    weights: WeightsTable = WeightsTable()
    deadline_s: Seconds = 120
    equivalents: bool = True
    max_price: Usd = 50
    fallbacks: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    tasks: dict[str, Annotated[Annotated[str, Tag("value")] | Annotated[TaskTable, Tag("table")], _by_shape]] = Field(
        default_factory=dict
    )
    hedge: bool = False
    in_flight: Count | None = None


class BreakerTable(Section):
    """`[breaker]`."""

    failures: Count = 5
    successes: Count = 2
    open_s: Seconds = 5
    max_open_s: Seconds = 60
    probes: Count = 1


class RetryTable(Section):
    """`[retry]`."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    base_s: Seconds = 0.25
    max_s: Seconds = 20


class BudgetLimits(Section):
    """Limits of one scope, USD."""

    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None


class BudgetTable(Section):
    """`[budget]`. Without any global limit here, $10 a day is the limit."""

    daily_usd: Usd | None = None
    monthly_usd: Usd | None = None
    time_zone: Zone = "local"
    alerts: tuple[Share, ...] = (0.5, 0.8, 0.9)
    at_edge: Literal["refuse", "cheaper", "ask"] = "refuse"
    unpriced: Literal["allow", "refuse"] = "allow"
    models: dict[str, BudgetLimits] = Field(default_factory=dict)
    callers: dict[str, BudgetLimits] = Field(default_factory=dict)
    tasks: dict[str, BudgetLimits] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _never_without(cls, data: Any) -> Any:
        said = cast("dict[str, Any]", data) if isinstance(data, dict) else None
        if said is None or {"daily_usd", "monthly_usd"} & said.keys():
            return cast("Any", data)
        return {**said, "daily_usd": DEFAULT_DAILY_USD}


class CacheTable(Section):
    """`[cache]`."""

    enabled: bool = True
    ttl_s: Seconds = 3600
    max_entries: Count = 10000
    max_bytes: Count = 256 << 20
    semantic: bool = False
    threshold: Share = 0.95


class EmbeddingsTable(Section):
    """`[embeddings]`."""

    model: str | None = None


class FusionTable(Section):
    """`[fusion]`."""

    min_confidence: Share = 0.8
    max_calls: Annotated[int, Field(ge=1, le=50)] = 7
    judge: str = "host"
    models: tuple[str, ...] = ("auto",)
    effort: Literal["quick", "balanced", "thorough"] = "quick"
    in_doubt: Literal["ask", "flag"] = "ask"


class ContextTool(Section):
    """A read-only tool of an upstream and its arguments; `{prompt}` and `{task}` are filled in."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ContextServer(Section):
    """`[context.server.NAME]`."""

    enabled: bool = True
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    tools: tuple[ContextTool, ...] = ()
    max_tokens: Count = 2000
    ttl_s: Seconds = 300
    trust: Literal["any", "local", "quarantine"] = "any"
    timeout_s: Seconds = 2
    mode: Literal["auto", "legacy"] = "auto"


class ContextTable(Section):
    """`[context]`."""

    file: str | None = None
    max_tokens: Count = 4000
    ranking: Literal["words", "meaning"] = "words"
    server: dict[str, ContextServer] = Field(default_factory=dict)


class StoreTable(Section):
    """`[store]`."""

    url: str | None = None
    shared: str | None = None
    keep_days: Count = 30
    texts: Literal["full", "hash"] = "full"
    max_mb: Count = 2048


class HttpTable(Section):
    """`[http]`."""

    tokens: Annotated[tuple[str, ...], Field(repr=False)] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    in_flight: Count = 1024
    issuer: Issuer | None = None
    audience: str | None = None

    @model_validator(mode="after")
    def _for_us(self) -> "HttpTable":
        if self.issuer and not self.audience:
            raise ValueError(
                "`issuer` needs `audience`: the URL clients reach this server's /mcp by, which its tokens name"
            )
        return self


class SecurityTable(Section):
    """`[security]`."""

    redact: bool = True
    allowed_regions: tuple[str, ...] = ()
    image_urls: Literal["pass", "fetch", "refuse"] = "pass"
    secrets: Literal["redact", "ask", "refuse", "allow"] = "redact"
    max_message_chars: Count = 100_000
    max_messages: Count = 100
    kms: str | None = None


class ExperimentTable(Section):
    """`[experiments.NAME]`: a share of the asks for `of` goes to the arm, instead (split) or besides and unseen (shadow)."""

    kind: Literal["shadow", "split"]
    share: Annotated[float, Field(gt=0, le=1), Number]
    of: Annotated[str, Field(min_length=1)] = "auto"
    model: str | None = None
    strategy: str | None = None
    daily_usd: Usd = 1.0

    @model_validator(mode="after")
    def _an_arm(self) -> "ExperimentTable":
        if not self.model and not self.strategy:
            raise ValueError("needs an arm: model, strategy or both")
        if self.kind == "split" and "/" in self.of.rstrip("/"):
            raise ValueError('a split may not be of provider/model: who names one exactly gets it. Use kind = "shadow"')
        return self


class Config(Section):
    """The whole file."""

    providers: ProvidersTable = ProvidersTable()
    models: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    routing: RoutingTable = RoutingTable()
    breaker: BreakerTable = BreakerTable()
    retry: RetryTable = RetryTable()
    budget: BudgetTable = BudgetTable()
    cache: CacheTable = CacheTable()
    embeddings: EmbeddingsTable = EmbeddingsTable()
    fusion: FusionTable = FusionTable()
    context: ContextTable = ContextTable()
    store: StoreTable = StoreTable()
    http: HttpTable = HttpTable()
    security: SecurityTable = SecurityTable()
    experiments: dict[str, ExperimentTable] = Field(default_factory=dict)

    @field_validator("experiments")
    @classmethod
    def _one_split_each(cls, value: dict[str, ExperimentTable]) -> dict[str, ExperimentTable]:
        split = [table.of for table in value.values() if table.kind == "split"]
        if twice := next((of for of in split if split.count(of) > 1), None):
            raise ValueError(f"two splits of {twice} would blur each other: end one of them")
        return value
