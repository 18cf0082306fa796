"""The vocabulary of one model call: what is asked, what comes back, who can be asked.

Below routing: nothing here knows of budgets, strategies or MCP. Values are frozen; a stream is the one thing that moves.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .errors import ProviderError

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "context_length", "paused", "error"]
Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Ended = Literal["", "completed", "failed", "expired", "cancelled"]
Capability = Literal["streaming", "tools", "json", "vision", "reasoning", "embeddings", "sampling"]


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text of a message. `cache_until_here` marks the end of a stable prefix worth a provider's prompt cache."""

    text: str
    cache_until_here: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: exactly one of `data` (raw bytes) and `url` (https) is set. `media_type` as in `image/png`."""

    media_type: str
    data: bytes | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is the JSON text as sent (it may be broken: the answer contract looks)."""

    id: str
    name: str
    arguments: str
    signature: str | None = None  # Gemini 3's thoughtSignature: must be echoed


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to the call with this id."""

    id: str
    text: str
    name: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Thinking text of a model. `signature` must be echoed where a provider binds it to the conversation."""

    text: str
    signature: str | None = None
    redacted: bool = False


Part = Text | Image | ToolCall | ToolResult | Reasoning


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A tool turn holds `ToolResult`s, an assistant turn may hold `ToolCall`s and `Reasoning`."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All plain text of the turn, joined."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is told, in no provider's words. Tokens are counts, `temperature` is 0..2.

    `tool_choice` is `auto`, `none`, `required` or a tool's name. `prompt_cache_key` is a provider's affinity hint.
    """

    messages: tuple[Message, ...]
    system: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tools: bool = True
    reasoning: Effort | None = None
    prompt_cache_key: str | None = None
    cache_system: bool = False  # `system` is the end of a stable prefix, as `cache_until_here` of a text


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `input` includes `cached_input` and `cache_write`; `output` includes `reasoning`.

    `cost_usd` is set only where the provider reported a price above zero (xAI, OpenRouter, Perplexity).
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False
    cost_usd: float | None = None


class Delta(NamedTuple):
    """A piece of an answer on its way. A NamedTuple because one is made per chunk (a frozen dataclass costs 4 x)."""

    kind: Literal["text", "reasoning", "tool", "alive"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. `finish_reason` is None until the provider said why it stopped: such an answer is incomplete.

    `refusal` holds the provider's own refusal signal (never guessed from words); `model_returned` the id it reported.
    """

    text: str = ""
    reasoning: tuple[Reasoning, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    finish_raw: str = ""
    usage: Usage = Usage(estimated=True)
    usage_seen: bool = False
    model_returned: str = ""
    refusal: str | None = None
    provider_request_id: str = ""
    warnings: tuple[str, ...] = ()
    simulated: bool = False


class Stream(Protocol):
    """An answer on its way: iterate for deltas; `answer` is what stands so far and complete when the iteration ended."""

    def __aiter__(self) -> AsyncIterator[Delta]: ...

    @property
    def answer(self) -> Answer: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


@runtime_checkable
class Provider(Protocol):
    """Anything that can answer. Wrapping one means wrapping one method."""

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        """Ask `model`. Entering sends the request and waits for the head; raises ProviderError, there or while iterating."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A provider that can turn texts into vectors."""

    async def embed(self, texts: Sequence[str], model: str) -> "Embeddings": ...


@runtime_checkable
class Lister(Protocol):
    """A provider that can say which models it has."""

    async def models(self) -> Sequence["Listed"]: ...


@runtime_checkable
class TokenCounter(Protocol):
    """A provider that counts input tokens exactly, over the wire."""

    async def count(self, request: Request, model: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch; `id` is ours: at most 64 of [A-Za-z0-9_-], and never used twice."""

    id: str
    request: Request


@dataclass(frozen=True, slots=True)
class Progress:
    """How a batch stands. `ended` is "" while it runs, else how: whatever was answered by then can be read."""

    ended: Ended = ""
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: an answer, or the error it ended in."""

    id: str
    answer: Answer | None = None
    error: "ProviderError | None" = None


class Batches(Protocol):
    """The slow and cheap road to one model. `share` of the ordinary price is paid. All methods raise ProviderError.

    `most_items` and `most_bytes` (of their bodies, written) bound one batch. `name` is ours and is kept by the provider
    beside the batch, so that it is found again by whoever does not know whether it was taken on.
    """

    share: float
    most_items: int
    most_bytes: int

    def size(self, item: Item) -> int:
        """Bytes of this item, written. Raises ProviderError where it cannot be asked here."""
        ...

    async def submit(self, name: str, items: Sequence[Item]) -> str:
        """Hand in; the provider's id of the batch."""
        ...

    async def find(self, name: str, items: int, since: float) -> str | None:
        """The id of the batch with this name, handed in after `since` (seconds since the epoch)."""
        ...

    async def look(self, batch_id: str) -> Progress:
        """How it stands."""
        ...

    def outcomes(self, batch_id: str) -> AsyncIterator[Outcome]:
        """What there is, of a batch that has ended; items that were never run may be missing."""
        ...

    async def cancel(self, batch_id: str) -> None:
        """Ask the provider to stop; it ends when it has."""
        ...


@runtime_checkable
class Batcher(Protocol):
    """A provider that takes many requests at once, to answer them within a day for less."""

    def batches(self, model: str) -> Batches: ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector per text, in order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    model_returned: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as its provider lists it; what the provider does not say is None. Prices in USD per million tokens."""

    id: str
    context_window: int | None = None
    max_output: int | None = None
    capabilities: frozenset[Capability] | None = None
    input_price: float | None = None
    output_price: float | None = None
    retires: str | None = None  # ISO date


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. None means the provider has no such tariff (then `input` counts); `tiers` by prompt size."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    tiers: tuple["PriceTier", ...] = ()
    per_request: float = 0.0  # USD for every call that was answered (Perplexity's search fee)
    source: str = ""  # where from, and as of when
    other: str = ""  # what a second source says, where it disagrees


@dataclass(frozen=True, slots=True)
class PriceTier:
    """Tariff of the whole request once the prompt has `above` tokens or more."""

    above: int
    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model before calling it. Tokens are counts; dates are ISO; `quality` is 0..1 per task kind.

    `quality` always has the key `default`. `efforts` is empty where the model takes no reasoning effort.
    `flags` are quirks of the model and its provider by name: `providers.dialects.FLAGS` lists them.
    """

    id: str
    family: str = ""  # gpt, claude, gemini, grok, … for token factors and panel diversity
    context_window: int = 8192
    max_input: int | None = None  # where a provider bounds the prompt below the window
    max_output: int = 4096
    capabilities: frozenset[Capability] = frozenset({"streaming", "sampling"})
    efforts: tuple[Effort, ...] = ()
    quality: Mapping[str, float] = field(default_factory=lambda: {"default": 0.5})
    deprecated: str | None = None
    retires: str | None = None
    replaced_by: str | None = None
    open_weights: bool = False
    parameters_b: tuple[float, float] | None = None  # active parameters in billions, low and high, for carbon
    flags: frozenset[str] = frozenset()
    known: bool = True  # False: a conservative default for an id nobody lists
    source: str = ""
    counted_as: str = field(init=False, repr=False, compare=False)  # cards alike in this count tokens alike

    def __post_init__(self) -> None:
        """Asked for several times a decision: made once."""
        object.__setattr__(self, "counted_as", self.family or self.id)
