"""An answer in the making: what every dialect's fold gathers into, and the one vocabulary of finish reasons."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ..errors import Billed, Malformed, ProviderError
from ..types import Answer, Delta, FinishReason, Reasoning, ToolCall, Usage
from ._errors import classify, in_band
from ._json import count, read_json, scrub

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


NOTHING: tuple[Delta, ...] = ()


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
    def billed(self) -> Billed:
        """What the ledger must assume if the answer ends here."""
        return "yes" if self.text or self.thoughts or self.calls else "unknown"

    def read(self, data: bytes) -> Any:
        """The object one stream event holds. Raises Malformed."""
        body = read_json(data)
        return body if body.__class__ is dict else self.read_whole(body)

    def read_whole(self, body: Any) -> Any:
        """The body if it is an object. Raises Malformed."""
        if body.__class__ is not dict:  # `type(…)` would narrow the type checker's Any
            raise Malformed("The provider sent something that is not an object.", billed=self.billed)
        return body

    def failure(self, body: Mapping[str, Any]) -> ProviderError:
        """The error a provider put inside an answer that began as a success."""
        return classify(in_band(body, billed=self.billed))

    def say(self, piece: Any) -> tuple[Delta, ...]:
        """Add text, if it is some."""
        if piece.__class__ is not str or not piece:
            return NOTHING
        self.text.append(piece)
        return (Delta("text", piece if piece.isascii() else scrub(piece)),)

    def think(self, key: Any, piece: Any) -> tuple[Delta, ...]:
        """Add thinking text, if it is some, to the block of this key."""
        if piece.__class__ is not str or not piece:
            return NOTHING
        thought = self.thoughts.get(key)
        if thought is None:
            thought = self.thoughts[key] = Thought()
        thought.pieces.append(piece)
        return (Delta("reasoning", scrub(piece)),)

    def argue(self, key: Any, piece: str) -> tuple[Delta, ...]:
        """Add a piece to the arguments of the call of this key, if there is one."""
        call = self.calls.get(key)
        if call is None or not piece:
            return NOTHING
        call.arguments.append(piece)
        return (Delta("tool", scrub(piece)),)

    def sign(self, key: Any, signature: str | None, *, redacted: bool = False) -> None:
        """Bind the block of this key to the signature the provider wants back."""
        if signature:
            thought = self.thoughts.setdefault(key, Thought())
            thought.signature = signature
            thought.redacted = thought.redacted or redacted

    def answer(self, usage: Usage | None) -> Answer:
        """What stands so far; `usage` is None until the provider reported one."""
        calls = tuple(self._finished_call(number, call) for number, call in enumerate(self.calls.values()))
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

    def _finished_call(self, number: int, call: CallDraft) -> ToolCall:
        arguments = scrub("".join(call.arguments))
        made_up = f"call_{number}_{sha256(f'{self.request_id}{arguments}'.encode('utf-8', 'replace')).hexdigest()[:8]}"
        return ToolCall(scrub(call.id) or made_up, scrub(call.name), arguments, call.signature)

    def _finish(self, *, has_calls: bool, refused: bool) -> FinishReason | None:
        if not self.finish_raw:
            return None
        finish = FINISH.get(self.finish_raw.lower(), self.unknown_finish)
        if refused and finish in ("stop", "error"):
            return "content_filter"  # an OpenAI refusal says `stop`, a prompt Gemini blocks may say `OTHER`
        if finish == "stop" and has_calls:
            return "tool_calls"  # Gemini and Ollama say `stop`
        return finish


class TypedFold:
    """Folds events that say their type, each by the method `read` names. The type stands in the event or on its line."""

    def __init__(self, read: Mapping[str, Callable[[Any], tuple[Delta, ...]]]) -> None:
        self.done = False
        self._draft = Draft()
        self._read = read

    def event(self, name: str, data: bytes) -> Sequence[Delta]:
        if data == b"[DONE]" or data.strip() == b"[DONE]":
            self.done = True
            return NOTHING
        event = self._draft.read(data)
        kind = event.get("type") or name
        read = self._read.get(kind) if kind.__class__ is str else None
        if read is not None:
            return read(event)
        if self._failed(kind, event):
            raise self._draft.failure(event)
        return NOTHING

    def _failed(self, kind: Any, event: Mapping[str, Any]) -> bool:
        """Whether an event nobody reads is an error."""
        del kind
        return bool(event.get("error"))


def usage(given: Any, produced: Any, *, cached: Any = 0, write: Any = 0, reasoning: Any = 0) -> Usage:
    """Normalised tokens from raw values: `given` includes cache reads and writes, `produced` includes reasoning.

    A missing or absurd total makes it estimated; details are clamped to their totals.
    """
    total_in, total_out = count(given), count(produced)
    read, written, thought = (count(0 if raw is None else raw) for raw in (cached, write, reasoning))
    fed, made = total_in or 0, total_out or 0
    known = min(read or 0, fed)
    return Usage(
        input=fed,
        output=made,
        cached_input=known,
        cache_write=min(written or 0, fed - known),
        reasoning=min(thought or 0, made),
        estimated=None in (total_in, total_out, read, written, thought),
    )


def sign(dialect: str, raw: Any) -> str | None:
    """A provider's signature with its origin, so that no other wire format ever echoes it."""
    return f"{dialect}:{raw}" if isinstance(raw, str) and raw else None


def signed(dialect: str, signature: str | None) -> str | None:
    """The raw signature if it came from this dialect."""
    origin, _, raw = (signature or "").partition(":")
    return raw if raw and origin == dialect else None
