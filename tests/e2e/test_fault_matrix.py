"""Every fault of the simulator x {whole, stream} x {alone, beside a healthy peer}: the class each must end in.

Virtual time, default deadline of 120 s. `docs/faults.md` publishes this table; the last tests hold the page to it.
"""

from pathlib import Path

import anyio
import pytest
from doubles import Listed, ask, conduct, sim

from providers.simulator.script import FAULTS
from providers.simulator.virtual import VirtualLoop
from routing.errors import Refusal
from routing.guard import Guards
from routing.manager import ProviderManager
from routing.types import Receipt

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs/faults.md"
STORY = "Tell me a long story about a wide river."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

ANSWERED, NOT = "answer", "provider_failed"
LATER = (NOT, NOT, ANSWERED, NOT)  # seen only after the first token: a live stream cannot take it back
AT_ONCE = (NOT, NOT, ANSWERED, ANSWERED)
CALLER = ("invalid_request",) * 4
KEY = ("authentication", "authentication", ANSWERED, ANSWERED)
LIMIT = ("rate_limited", "rate_limited", ANSWERED, ANSWERED)
# fault → how it ends: whole alone, stream alone, whole beside a healthy peer, stream beside a healthy peer
MATRIX: dict[str, tuple[str, str, str, str]] = {
    "status:400": CALLER,
    "status:401": KEY,
    "status:402": LIMIT,
    "status:403": KEY,
    "status:404": ("no_model", "no_model", ANSWERED, ANSWERED),
    "status:408": AT_ONCE,
    "status:409": AT_ONCE,
    "status:413": CALLER,
    "status:422": CALLER,
    "status:425": AT_ONCE,
    "status:429": LIMIT,
    "status:500": AT_ONCE,
    "status:502": AT_ONCE,
    "status:503": AT_ONCE,
    "status:504": AT_ONCE,
    "status:529": AT_ONCE,
    "retry_after": LIMIT,
    "hang": ("timeout", "timeout", ANSWERED, ANSWERED),
    "slow": (ANSWERED,) * 4,
    "reset": AT_ONCE,
    "cut_stream": LATER,
    "stall_stream": ("timeout", "timeout", ANSWERED, "timeout"),
    "no_finish": LATER,
    "bad_chunk": LATER,
    "empty": AT_ONCE,
    "no_choices": AT_ONCE,
    "error_200": AT_ONCE,
    "html_502": AT_ONCE,
    "refusal": ("content_refused", "content_refused", ANSWERED, ANSWERED),
    "truncated": (NOT, ANSWERED, ANSWERED, ANSWERED),
    "wrong_schema": LATER,
    "huge": AT_ONCE,
    "bad_utf8": AT_ONCE,
    "redirect": AT_ONCE,
    "negative_usage": (ANSWERED,) * 4,
}
CASES = [
    (fault, shape, peer, ends[index])
    for fault, ends in MATRIX.items()
    for index, (shape, peer) in enumerate([("whole", False), ("stream", False), ("whole", True), ("stream", True)])
]


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


async def ended(fault: str, shape: str, *, peer: bool) -> tuple[str, Receipt, float]:
    """How it ended, what the receipt says, and after how many seconds."""
    broken = sim("broken", conduct(fault), priority=1)
    clock = anyio.current_time
    directory = Listed([broken, sim("healthy")] if peer else [broken])
    manager = ProviderManager(directory, guard=Guards(clock=clock), clock=clock)
    asked = ask(STORY, request={"schema": SCHEMA} if fault == "wrong_schema" else {})
    begun = clock()
    try:
        receipt = await (whole if shape == "whole" else streamed)(manager, asked)
        return ANSWERED, receipt, clock() - begun
    except Refusal as error:
        assert error.receipt is not None
        return error.code, error.receipt, clock() - begun


async def whole(manager, asked) -> Receipt:
    result = await manager.generate(asked)
    assert result.answer.text.strip()
    return result.receipt


async def streamed(manager, asked) -> Receipt:
    async with manager.stream(asked) as stream:
        text = "".join([delta.text async for delta in stream if delta.kind == "text"])
        assert text == stream.result.answer.text != ""
        return stream.result.receipt


def test_the_matrix_knows_every_fault_of_the_simulator():
    assert {fault.partition(":")[0] for fault in MATRIX} == set(FAULTS)


@pytest.mark.parametrize(("fault", "shape", "peer", "end"), CASES)
async def test_a_fault_ends_in_its_class_within_the_deadline(fault, shape, peer, end):
    found, receipt, seconds = await ended(fault, shape, peer=peer)
    assert found == end
    assert seconds <= 120.5
    assert 1 <= len(receipt.attempts) <= 3
    assert receipt.excluded_count == 0
    if found == ANSWERED:
        assert receipt.attempts[-1].outcome == "ok"
        assert receipt.provider == receipt.attempts[-1].provider
    else:
        assert all(attempt.outcome != "ok" and attempt.reason for attempt in receipt.attempts)


@pytest.mark.parametrize("fault", [fault for fault, ends in MATRIX.items() if ends[2] == ANSWERED])
async def test_beside_a_healthy_peer_a_hundred_mixed_calls_all_answer(fault):
    """Half of the calls meet the fault; the peer is asked in each of them, and breakers learn meanwhile."""
    clock = anyio.current_time
    pair = [sim("broken", conduct(fault, rate=0.5), priority=1), sim("healthy")]
    manager = ProviderManager(Listed(pair), guard=Guards(clock=clock), clock=clock)
    asked = ask(STORY, request={"schema": SCHEMA} if fault == "wrong_schema" else {})
    results = [await manager.generate(asked) for _ in range(100)]
    assert all(result.receipt.attempts[-1].outcome == "ok" for result in results)


def test_the_published_page_says_what_is_tested():
    rows = [line.split("|")[1:6] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    published = {row[0].strip(" `"): tuple(cell.strip() for cell in row[1:]) for row in rows}
    assert published == MATRIX
