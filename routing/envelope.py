"""Arithmetic of one call before it is made: what it may write, what it will likely and at worst cost. Pure, USD."""

from collections.abc import Callable, Sequence

from providers.types import (
    Image,
    Message,
    ModelCard,
    Part,
    Price,
    PriceTier,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
)

TYPICAL_OUTPUT = 500  # tokens of a median chat answer; only ranks candidates, never holds money
LEAST_OUTPUT = 256  # contract §3: below this a budget refuses rather than cuts


def thinks(request: Request, card: ModelCard) -> bool:
    """Whether output tokens will also be spent on reasoning."""
    return "reasoning" in card.capabilities and request.reasoning != "none"


def default_output(request: Request, card: ModelCard) -> int:
    """`max_tokens` where the caller gave none, before the budget has a say (contract §3)."""
    return min(card.max_output, 32_768 if thinks(request, card) else 8_192)


def expecting(request: Request) -> Callable[[ModelCard], int]:
    """Output tokens to expect of each model, for ranking: typical, four times that with reasoning, never above the limit."""
    plain, thinking = _typical(request, thinks=False), _typical(request, thinks=request.reasoning != "none")

    def expected(card: ModelCard) -> int:
        output = thinking if "reasoning" in card.capabilities else plain
        return min(card.max_output, output)

    return expected


def expected_output(request: Request, card: ModelCard) -> int:
    """The same for one model."""
    return min(card.max_output, _typical(request, thinks=thinks(request, card)))


def _typical(request: Request, *, thinks: bool) -> int:
    usual = TYPICAL_OUTPUT * 4 if thinks else TYPICAL_OUTPUT
    return min(usual, request.max_tokens or usual)


def tariff(price: Price, input_tokens: int) -> Price | PriceTier:
    """The tariff of a prompt of this size."""
    best: Price | PriceTier = price
    for tier in sorted(price.tiers, key=lambda tier: tier.above):
        if input_tokens >= tier.above:
            best = tier
    return best


def cost_usd(price: Price, input_tokens: int, output_tokens: int) -> float:
    """USD of a call without cached tokens."""
    rate = tariff(price, input_tokens) if price.tiers else price
    return (input_tokens * rate.input + output_tokens * rate.output) / 1_000_000


def affordable_output(price: Price, input_tokens: int, room_usd: float) -> int:
    """How many output tokens `room_usd` pays for after the input; below 0 when not even that."""
    rate = tariff(price, input_tokens) if price.tiers else price
    input_rate = max(rate.input, getattr(rate, "cache_write", None) or 0.0)  # the hold assumes the dearest way to read
    left = room_usd * 1_000_000 - input_tokens * input_rate
    if left < 0:
        return -1
    return int(left / rate.output) if rate.output else 1 << 40


def least(rooms: Sequence[float | None]) -> float | None:
    """The tightest of several limits, None where nothing limits."""
    known = [room for room in rooms if room is not None]
    return min(known) if known else None


class ByteCount:
    """Tokens from UTF-8 length: no tokenizer has more tokens than bytes; English has about a token in four of them."""

    def estimate(self, request: Request, card: ModelCard) -> int:
        """A third of the bytes: a little above what prose and code come to."""
        return self.bound(request, card) // 3

    def bound(self, request: Request, card: ModelCard) -> int:
        """Every byte a token, 16 tokens of framing a turn, 2,000 a picture."""
        del card
        tools = sum(len(repr(tool).encode()) for tool in request.tools)
        schema = len(repr(request.schema).encode()) if request.schema else 0
        return len(request.system.encode()) + tools + schema + sum(map(_turn_bytes, request.messages))


def _turn_bytes(message: Message) -> int:
    return 16 + sum(map(_part_bytes, message.parts))


def _part_bytes(part: Part) -> int:
    match part:
        case Image():
            return 2_000
        case ToolCall(name=name, arguments=arguments):
            return len(name.encode()) + len(arguments.encode()) + 16
        case Text(text=text) | ToolResult(text=text) | Reasoning(text=text):
            return len(text.encode())
