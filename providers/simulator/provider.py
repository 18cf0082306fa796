"""The simulator in process: a Provider, Embedder and Lister that is a program. No HTTP, no clock of its own."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from types import MappingProxyType

import anyio

from ..errors import (
    AuthenticationFailed,
    BadRequest,
    Malformed,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Truncated,
    Unavailable,
)
from ..types import Answer, Capability, Delta, Embeddings, Listed, ModelCard, Request, Stream, Usage
from .model import MODELS, embed, pieces, prompt_tokens
from .script import Fault, Scenario
from .stage import Answers, Plan, Stage

Sleep = Callable[[float], Awaitable[None]]

_STATUSES: Mapping[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    402: QuotaExhausted,
    403: AuthenticationFailed,
    404: ModelNotFound,
    408: Unavailable,
    409: Unavailable,
    425: Unavailable,
    429: RateLimited,
}


_LOST: Mapping[str, tuple[type[ProviderError], str]] = {
    "hang": (TimedOut, "The simulated provider did not begin to answer in time."),
    "reset": (Unavailable, "The simulated connection was reset."),
    "error_200": (Unavailable, "The simulated provider is overloaded."),
    "no_choices": (Malformed, "The simulated answer holds no choice."),
    "huge": (Malformed, "The simulated answer is too large."),
    "bad_utf8": (Malformed, "The simulated answer is not UTF-8."),
}
_ABLE: frozenset[Capability] = frozenset({"streaming", "tools", "json", "vision", "reasoning", "sampling"})
_QUALITY = {"smart": 0.9, "slow": 0.7, "fast": 0.6}


def card(model: str) -> ModelCard:
    """What is known of a simulated model."""
    return ModelCard(
        id=model,
        family="sim",
        context_window=128_000,
        max_output=16_384,
        capabilities=frozenset({"embeddings"}) if model == "embed" else _ABLE,
        quality={"default": _QUALITY.get(model, 0.5)},
        efforts=("low", "medium", "high"),
        source="simulator",
    )


class SimProvider:
    """Answers as its scenario says. `sleep` is injected so that nobody has to wait for simulated time.

    `silence_s` is how long a `hang` or a `stall_stream` lasts before it is the timeout it would be over HTTP.
    """

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        answers: Answers | None = None,
        sleep: Sleep = anyio.sleep,
        silence_s: float = 60.0,
    ) -> None:
        self._stage = Stage(scenario, answers)
        self._sleep = sleep
        self._silence_s = silence_s

    def open(self, request: Request, model: str) -> AbstractAsyncContextManager[Stream]:
        """Ask a simulated model; any name is answered, those of `MODELS` have a nature of their own."""
        return self._open(self._stage.plan("sim", model, request))

    @asynccontextmanager
    async def _open(self, plan: Plan) -> AsyncGenerator[Stream]:
        await self._sleep(plan.pause_s)
        if plan.fault is not None:
            await self._fail_at_once(plan.fault)
        async with aclosing(SimStream(plan, self._sleep, self._silence_s)) as stream:
            yield stream

    async def _fail_at_once(self, fault: Fault) -> None:
        if fault.name == "hang":
            await self._sleep(self._silence_s)
        if error := _at_once(fault):
            raise error

    async def embed(self, texts: Sequence[str], model: str) -> Embeddings:
        """Vectors of hashed words: texts that share words are near each other."""
        usage = Usage(input=sum(len(pieces(text)) for text in texts))
        return Embeddings(tuple(embed(text) for text in texts), usage, model)

    async def models(self) -> Sequence[Listed]:
        """The simulated models, with the scenario's prices."""
        return [listed(self._stage.scenario, model) for model in MODELS]

    async def count(self, request: Request, model: str) -> int:  # noqa: ARG002 - they all count alike
        """Input tokens as the simulated models count them."""
        return prompt_tokens(request)


def listed(scenario: Scenario, model: str) -> Listed:
    known, price = card(model), scenario.conduct("sim", model).price
    return Listed(
        model,
        known.context_window,
        known.max_output,
        known.capabilities,
        input_price=price.input,
        output_price=price.output,
    )


class SimStream:
    """Satisfies `Stream`."""

    def __init__(self, plan: Plan, sleep: Sleep, silence_s: float) -> None:
        self._plan = plan
        self._sleep = sleep
        self._silence_s = silence_s
        self._told: list[str] = []
        self._done = False
        self._deltas = self._tell()

    @property
    def headers(self) -> Mapping[str, str]:
        return MappingProxyType({"x-plenum-simulated": "1"})

    @property
    def answer(self) -> Answer:
        """What was told so far."""
        answer = self._plan.answer
        if self._done:
            return replace(answer, simulated=True)
        output = Usage(input=max(0, answer.usage.input), output=len(self._told), estimated=True)
        return Answer("".join(self._told), usage=output, model_returned=answer.model_returned, simulated=True)

    def __aiter__(self) -> AsyncGenerator[Delta]:
        return self._deltas

    async def aclose(self) -> None:
        """Stop telling."""
        await self._deltas.aclose()

    async def _tell(self) -> AsyncGenerator[Delta]:
        plan, fault = self._plan, self._plan.fault.name if self._plan.fault else ""
        for thought in plan.answer.reasoning:
            yield Delta("reasoning", thought.text)
        parts = plan.parts()
        for index, part in enumerate(parts):
            if fault == "bad_chunk" and index >= len(parts) // 2:
                raise Malformed("The simulated answer is no JSON in its middle.")
            await self._sleep(plan.token_s * len(pieces(part)))
            self._told.append(part)
            yield Delta("text", part)
        for call in plan.answer.tool_calls:
            yield Delta("tool", call.arguments)
        if fault == "stall_stream":
            await self._sleep(self._silence_s)
            raise TimedOut(f"Nothing came for {self._silence_s:g} s.")
        if plan.answer.finish_reason is None:
            raise Truncated("The simulated stream ended and did not say why.")
        self._done = True


def _at_once(fault: Fault) -> ProviderError | None:
    """What a fault of the wire is once a dialect has read it; None for those that come later, or in the words."""
    match fault.name:
        case "status":
            return _by_status(int(fault.amount))
        case "retry_after":
            return RateLimited("The simulated limit is reached.", status=429, after=fault.amount)
        case "html_502":
            return _by_status(502)
        case "redirect":
            return _by_status(307)
        case name if known := _LOST.get(name):
            kind, message = known
            return kind(message, billed="unknown")
        case _:
            return None


def _by_status(status: int) -> ProviderError:
    kind = _STATUSES.get(status) or (Unavailable if status >= 500 else BadRequest if status >= 400 else Malformed)
    return kind(f"The simulated provider answered {status}.", status=status, billed="no")
