"""An answer in the making: what every dialect's fold gathers into, and the one vocabulary of finish reasons."""

from typing import Any

from ..types import Answer, FinishReason, Reasoning, ToolCall, Usage
from ._json import count, scrub

# Raw words of all providers, lower case (guide providers §2). They do not contradict one another.
FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "complete", "eos", "eos_token", "completed", "done"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "incomplete", "max_messages"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "tool_call", "requires_action"), "tool_calls"),
    **dict.fromkeys(
        (
            *("content_filter", "refusal", "guardrail_intervened", "safety", "recitation", "blocklist"),
            *("prohibited_content", "spii", "model_armor", "image_safety", "image_prohibited_content"),
            *("image_recitation", "image_other"),
        ),
        "content_filter",
    ),
    **dict.fromkeys(("model_context_window_exceeded", "model_length"), "context_length"),
    **dict.fromkeys(("pause_turn", "continuation"), "paused"),
    **dict.fromkeys(
        (
            *("error", "timeout", "insufficient_system_resource", "malformed_function_call", "malformed_response"),
            *("unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature", "other", "language"),
            *("escalation", "no_image", "failed", "cancelled", "load", "unload"),
        ),
        "error",
    ),
}


class CallDraft:
    """A tool call whose arguments come in pieces."""

    __slots__ = ("arguments", "id", "name", "signature")

    def __init__(self, id: str = "", name: str = "", arguments: str = "", signature: str | None = None) -> None:  # noqa: A002 - the wire's word
        self.id = id
        self.name = name
        self.arguments = [arguments] if arguments else []
        self.signature = signature


class Thought:
    """A block of thinking whose text comes in pieces."""

    __slots__ = ("pieces", "redacted", "signature")

    def __init__(self, signature: str | None = None, *, redacted: bool = False) -> None:
        self.pieces: list[str] = []
        self.signature = signature
        self.redacted = redacted


class Draft:
    """What has come of one answer. Folds write into its fields; `answer` reads them at any moment."""

    __slots__ = (
        "calls",
        "finish_raw",
        "model",
        "refusal",
        "request_id",
        "text",
        "thoughts",
        "unknown_finish",
        "warnings",
    )

    def __init__(self, unknown_finish: FinishReason = "stop") -> None:
        self.text: list[str] = []
        self.thoughts: dict[Any, Thought] = {}
        self.calls: dict[Any, CallDraft] = {}
        self.refusal: list[str] = []
        self.finish_raw = ""
        self.model = ""
        self.request_id = ""
        self.warnings: list[str] = []
        self.unknown_finish: FinishReason = unknown_finish

    @property
    def billed(self) -> bool:
        """Whether anything came that a provider would charge for."""
        return bool(self.text or self.thoughts or self.calls)

    def think(self, key: Any, piece: str) -> None:
        """Add thinking text to the block of this key."""
        thought = self.thoughts.get(key)
        if thought is None:
            thought = self.thoughts[key] = Thought()
        thought.pieces.append(piece)

    def answer(self, usage: Usage | None) -> Answer:
        """What stands so far; `usage` is None until the provider reported one."""
        calls = tuple(
            ToolCall(
                scrub(call.id) or f"call_{number}", scrub(call.name), scrub("".join(call.arguments)), call.signature
            )
            for number, call in enumerate(self.calls.values())
        )
        refusal = scrub("".join(self.refusal))
        finish = self._finish(has_calls=bool(calls), refused=bool(refusal))
        unknown = bool(self.finish_raw) and self.finish_raw.lower() not in FINISH
        return Answer(
            text=scrub("".join(self.text)),
            reasoning=tuple(
                Reasoning(scrub("".join(thought.pieces)), thought.signature, thought.redacted)
                for thought in self.thoughts.values()
                if thought.pieces or thought.signature
            ),
            tool_calls=calls,
            finish_reason=finish,
            finish_raw=scrub(self.finish_raw)[:100],
            usage=usage if usage is not None else Usage(estimated=True),
            usage_seen=usage is not None and not usage.estimated,
            model_returned=scrub(self.model)[:200],
            refusal=refusal or (scrub(self.finish_raw)[:100] if finish == "content_filter" else None),
            provider_request_id=scrub(self.request_id)[:200],
            warnings=(*self.warnings, *(["the provider gave a finish reason Plenum does not know"] if unknown else [])),
        )

    def _finish(self, *, has_calls: bool, refused: bool) -> FinishReason | None:
        if not self.finish_raw:
            return None
        finish = FINISH.get(self.finish_raw.lower(), self.unknown_finish)
        if finish == "stop" and refused:
            return "content_filter"  # an OpenAI refusal says `stop`
        if finish == "stop" and has_calls:
            return "tool_calls"  # Gemini and Ollama say `stop`
        return finish


def usage(given: Any, produced: Any, *, cached: Any = 0, write: Any = 0, reasoning: Any = 0) -> Usage:
    """Normalised tokens from raw values: `given` includes cache reads and writes, `produced` includes reasoning.

    A missing or absurd total makes it estimated; details are clamped to their totals.
    """
    total_in, total_out = count(given), count(produced)
    details = [count(value) for value in (cached, write, reasoning)]
    read, written, thought = (value or 0 for value in details)
    absurd = any(
        raw is not None and value is None for raw, value in zip((cached, write, reasoning), details, strict=True)
    )
    fed, made = total_in or 0, total_out or 0
    read = min(read, fed)
    return Usage(
        input=fed,
        output=made,
        cached_input=read,
        cache_write=min(written, fed - read),
        reasoning=min(thought, made),
        estimated=total_in is None or total_out is None or absurd,
    )


def sign(dialect: str, raw: Any) -> str | None:
    """A provider's signature with its origin, so that no other wire format ever echoes it."""
    return f"{dialect}:{raw}" if isinstance(raw, str) and raw else None


def signed(dialect: str, signature: str | None) -> str | None:
    """The raw signature if it came from this dialect."""
    origin, _, raw = (signature or "").partition(":")
    return raw if raw and origin == dialect else None
