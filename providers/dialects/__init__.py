"""One pure file per wire format. No I/O, no clock: bytes and mappings in, values out.

A dialect is a module-level object named `dialect` in a file whose name is its configuration name (or an entry point
of the group `plenum.dialects`). `tests/contracts/` runs one suite over every file in this folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, Literal, Protocol

from ..errors import ProviderError
from ..types import Answer, Delta, Embeddings, Listed, ModelCard, Request
from ._json import read_json as read_json

# What `ModelCard.flags` may say. A provider's own quirks (catalog/providers.toml) are merged into the card's flags
# before `render` and `fold`, so a dialect asks the card and never who the provider is.
FLAGS: Mapping[str, str] = MappingProxyType(
    {
        # the model, in any dialect
        "responses_only": "is served by openai_responses only (for the catalogue and the router)",
        "no_stop": "refuses stop sequences",
        "no_seed": "refuses a seed",
        "no_penalties": "refuses frequency and presence penalty",
        "one_sampler": "takes temperature or top_p, not both (Claude 4.x)",
        "sampling_at_none": "takes sampling parameters, but only while reasoning is off (OpenAI from gpt-5.1 on)",
        "effort_default_none": "does not reason unless asked to",
        "no_forced_tool": "refuses a forced tool choice (Claude Opus 5.5, DeepSeek while thinking)",
        "json_object_only": "answers JSON, but takes no schema (DeepSeek chat): it goes into the instructions",
        "budget_thinking": "reasoning is bought as a token budget (Claude 4.5, Gemini 2.5), not as an effort",
        # the provider behind openai_chat
        "max_completion_tokens": "the output limit has this name; otherwise it is `max_tokens`",
        "developer_role": "instructions have the role `developer` instead of `system`",
        "no_stream_options": "refuses `stream_options` (Mistral) or sends usage unasked",
        "random_seed": "the seed is called `random_seed` (Mistral)",
        "no_tool_choice": "knows no `tool_choice` (Ollama's OpenAI side)",
        "no_parallel_choice": "refuses `parallel_tool_calls`",
        "prompt_cache_key": "takes `prompt_cache_key` (OpenAI, Azure)",
        "cache_control": "takes Anthropic's `cache_control` on content parts (OpenRouter)",
        "short_tool_ids": "tool call ids are exactly nine letters and digits (Mistral)",
        "effort_object": "effort is written `reasoning: {effort}` (OpenRouter)",
        "thinking_type": "reasoning is switched by `thinking: {type}`, beside `reasoning_effort` (DeepSeek, Z.ai)",
        "reasoning_enabled": "reasoning is switched by `reasoning: {enabled}` (Together)",
        "reasoning_parsed": "needs `reasoning_format: parsed` to keep thinking out of the text (Groq)",
        "echo_reasoning": "wants `reasoning_content` back on turns that called a tool (DeepSeek)",
        "reasoning_details": "wants `reasoning_details` back unchanged (OpenRouter)",
        "reasoning_beside_output": "`completion_tokens` excludes reasoning (xAI chat; also seen by the sum)",
        # openai_responses
        "reasoning_summary": "may be asked for summaries of its reasoning (OpenAI: verified organisations only)",
        # anthropic
        "version_2023": "pinned to anthropic-version 2023-06-01; otherwise 2026-10-21",
        "thinking_between_tools": "thinking is turned off by `between_tools` (Claude Sonnet 5.5)",
        "no_prefill": "refuses a conversation that ends with the assistant (Claude from 4.6 on)",
        # ollama
        "think_levels": "`think` is a level (gpt-oss), not a boolean",
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, rendered. `path` begins with `/`, follows the base URL and may carry a query; `body` is JSON.

    `raw` is sent instead of `body` where a provider wants something else (then `headers` name its type).
    """

    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    method: Literal["POST", "GET"] = "POST"
    warnings: tuple[str, ...] = ()
    raw: bytes | None = None


class Fold(Protocol):
    """Folds what one call returned into an `Answer`. Made anew per call; the only moving part of a dialect."""

    done: bool  # the terminal event was seen: whatever follows is ignored

    def event(self, name: str, data: bytes) -> Sequence[Delta]:
        """Take one stream event: SSE `event:` name or "", and its data; or one NDJSON line. Raises ProviderError.

        `data` are the bytes as they came (undecoded: the JSON parser checks their UTF-8), without the line end.
        """
        ...

    def whole(self, body: Any) -> Sequence[Delta]:
        """Take a whole JSON answer, as `read_json` parsed it. Raises ProviderError."""
        ...

    def answer(self) -> Answer:
        """What stands so far; `finish_reason` is None until the provider gave one."""
        ...


class Dialect(Protocol):
    """A wire format: how a request is written, and an answer, a stream and an error are read."""

    name: str
    framing: Literal["sse", "ndjson"]

    def headers(self, key: str | None) -> Mapping[str, str]:
        """Authentication and version headers."""
        ...

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        """Write the request for the model `card.id`. What a model refuses is dropped with a warning in the call."""
        ...

    def fold(self, card: ModelCard) -> Fold:
        """Begin reading one answer of the model `card.id`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Class a non-2xx answer (or an error object inside a 200). Header names are lower case."""
        ...


class EmbedDialect(Protocol):
    """A dialect that also writes and reads embeddings."""

    def render_embed(self, texts: Sequence[str], model: str) -> Call: ...

    def parse_embed(self, body: Any) -> Embeddings: ...


class ListDialect(Protocol):
    """A dialect that also reads a model list. `next_page` is the path of the following page, or None."""

    def render_list(self) -> Call: ...

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]: ...


class CountDialect(Protocol):
    """A dialect whose provider counts input tokens exactly."""

    def render_count(self, request: Request, card: ModelCard) -> Call: ...

    def parse_count(self, body: Any) -> int: ...


@cache
def names() -> tuple[str, ...]:
    """Every dialect this process can speak, built in or from an entry point."""
    built_in = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted({*built_in, *(entry.name for entry in entry_points(group="plenum.dialects"))}))


@cache
def load(name: str) -> Dialect:
    """The dialect of this name. Raises KeyError where there is none."""
    for entry in entry_points(group="plenum.dialects", name=name):
        return entry.load()
    if name not in names():
        raise KeyError(name)
    return import_module(f"{__name__}.{name}").dialect
