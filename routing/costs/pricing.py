"""What an attempt may cost at worst, and what it did cost, from whatever its provider told. Pure.

Reported beats priced beats estimated; without a price it is unpriced, never zero. Usage no sane provider would send
(negative, not a number, sixteen times what was sent) is not believed: the worst case is booked, as an estimate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from providers.errors import Billed
from providers.types import Answer, Price, Usage

from ..ports import Bill
from ..types import NANO, CostBasis

CEILING = 10**16  # ten million dollars: no single call costs that, and sums stay far within 64 bits
DISBELIEF = 16, 1_000_000  # times what was sent, plus this many tokens (pages a provider's own search adds)
BYTES_PER_TOKEN = 3  # of text whose tokens nobody counted: a little more than it likely is

CostNano = Callable[[Price, Usage], int]
FindPrice = Callable[[str, str], Price | None]


def no_price(provider: str, model: str) -> Price | None:
    """Knows no prices."""
    del provider, model
    return None


@dataclass(frozen=True, slots=True)
class Tariffs:
    """Where prices come from: `cost` applies one to usage, `find` knows those of models returned in place of others."""

    cost: CostNano
    find: FindPrice = no_price

    def worst(self, bill: Bill) -> int | None:
        """The most this attempt can cost, in nano-dollars: every input token written to a cache, all output used."""
        price = bill.deployment.price
        if price is None:
            return None
        sent = Usage(input=bill.input_tokens, output=bill.output_tokens)
        written = Usage(input=bill.input_tokens, output=bill.output_tokens, cache_write=bill.input_tokens)
        prices = (price, replace(price, tiers=())) if price.tiers else (price,)
        return max(min(self.cost(p, u), CEILING) for p in prices for u in (sent, written))

    def of(self, bill: Bill, returned: str) -> Price | None:
        """The price of the model that answered: the deployment's own unless another one did."""
        asked = bill.deployment
        if not returned or returned == asked.model or _dated(asked.model, returned):
            return asked.price
        return self.find(asked.provider, returned) or asked.price


@dataclass(frozen=True, slots=True)
class Charge:
    """What is booked: nano-dollars (None: unpriced), how we know, the usage it stands on, the tariff in words."""

    nano: int | None
    basis: CostBasis
    usage: Usage
    price: str = ""
    computed: int | None = None  # what the tariff makes of it where the provider told its own figure


def charge(tariffs: Tariffs, bill: Bill, answer: Answer) -> Charge:
    """What a call that gave this answer cost."""
    usage = believed(bill, answer)
    price = tariffs.of(bill, answer.model_returned)
    reported = _reported(usage, tariffs.worst(bill)) if usage.cost_usd is not None else None
    if reported is not None:
        computed = min(max(tariffs.cost(price, usage), 0), CEILING) if price and not usage.estimated else None
        return Charge(reported, "reported", usage, words(price), computed)
    if price is None:
        return Charge(None, "unpriced", usage)
    basis: CostBasis = "estimated" if usage.estimated else "priced"
    return Charge(min(max(tariffs.cost(price, usage), 0), CEILING), basis, usage, words(price))


def charge_broken(tariffs: Tariffs, bill: Bill, billed: Billed, answer: Answer | None) -> Charge:
    """What a failed or cancelled attempt cost: nothing, what came, or at least its prompt."""
    if billed in ("unsent", "no"):
        return Charge(0, "estimated", Usage(estimated=True))
    return charge(tariffs, bill, answer or Answer())


def believed(bill: Bill, answer: Answer) -> Usage:
    """The usage as told if it can be true, else what can be said without it."""
    usage = answer.usage
    counts = usage.input, usage.output, usage.cached_input, usage.cache_write, usage.reasoning
    if not answer.usage_seen or not all(_count(n) for n in counts) or usage.input + usage.output == 0:
        return replace(_counted(bill, answer), cost_usd=usage.cost_usd)
    times, plus = DISBELIEF
    if usage.input > times * bill.input_tokens + plus or usage.output > times * bill.output_tokens + plus:
        return Usage(input=bill.input_tokens, output=bill.output_tokens, estimated=True, cost_usd=usage.cost_usd)
    if usage.cached_input + usage.cache_write <= usage.input and usage.reasoning <= usage.output:
        return usage
    cached = min(usage.cached_input, usage.input)
    written = min(usage.cache_write, usage.input - cached)
    return replace(usage, cached_input=cached, cache_write=written, reasoning=min(usage.reasoning, usage.output))


def words(price: Price | None) -> str:
    """A tariff as one line: USD per million tokens in and out, and its source."""
    return f"{price.input:g}/{price.output:g} {price.source}".strip() if price else ""


def _counted(bill: Bill, answer: Answer) -> Usage:
    """Without usage: the prompt as it was measured, and what was read of the answer."""
    thought = sum(len(part.text.encode(errors="replace")) for part in answer.reasoning)
    said = len(answer.text.encode(errors="replace")) + sum(len(call.arguments) for call in answer.tool_calls)
    reasoning = math.ceil(thought / BYTES_PER_TOKEN)
    output = min(reasoning + math.ceil(said / BYTES_PER_TOKEN), max(bill.output_tokens, 1))
    return Usage(input=bill.input_tokens, output=output, reasoning=min(reasoning, output), estimated=True)


def _reported(usage: Usage, worst: int | None) -> int | None:
    usd = usage.cost_usd
    if usd is None or not 0 < usd < CEILING / NANO:  # also refuses NaN
        return None
    amount = math.ceil(usd * NANO - 1e-3)  # a dollar amount that was exact must not gain a nano by binary fractions
    return amount if amount <= max(100 * (worst or 0), NANO) else None


def _count(number: object) -> bool:
    return isinstance(number, int) and 0 <= number < 10**12


def _dated(asked: str, returned: str) -> bool:
    """`gpt-4o` answered as `gpt-4o-2024-08-06` is the same model; as `gpt-4o-mini` it is not."""
    tail = returned.removeprefix(asked).lstrip("-@:")
    return returned.startswith(asked) and bool(tail) and tail.replace("-", "").isdigit()
