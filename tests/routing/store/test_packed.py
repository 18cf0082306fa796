"""An answer and its receipt are packed once and stored twice: the bytes are those of packing anew."""

import pytest

from providers.types import Answer, Usage
from routing.cache.exact import Exact, packed, unpacked
from routing.store import codec
from routing.store.codec import Packed, joined, pack, unpack
from routing.types import Exclusion, Receipt, Result

SHORT = Answer("five", finish_reason="stop", usage=Usage(12, 6))
LONG = Answer("five " * 1000, finish_reason="stop")
BROKEN = Answer("a lone \ud800 surrogate", finish_reason="stop")
RECEIPT = Receipt("r", provider="p", model="m", latency_s=0.1 + 0.2, warnings=("one", "zwei ü"))


@pytest.mark.parametrize("answer", [SHORT, LONG, BROKEN])
def test_joined_bytes_are_those_of_the_tuple(answer: Answer) -> None:
    assert joined(pack(answer), pack(RECEIPT)) == pack((answer, RECEIPT))
    assert joined(pack(answer)) == pack((answer,)) and joined() == pack(())


def test_what_is_known_is_not_packed_again_and_what_only_equals_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known, twin = Packed(SHORT, RECEIPT), Receipt("other")
    made: list[object] = []
    monkeypatch.setattr(codec, "pack", lambda value: made.append(value) or b"j0")
    assert unpack(known.of(SHORT), Answer) == SHORT and unpack(known.of(RECEIPT), Receipt) == RECEIPT
    assert made == []
    assert known.of(twin) == b"j0" and made == [twin]


def test_a_cached_row_made_of_known_bytes_is_that_of_none_and_leaves_out_what_only_the_first_call_tells() -> None:
    told = Receipt("r", excluded=(Exclusion("p/m", "too dear"),), excluded_count=1, candidates=(("p/m", 1.0),))
    for receipt in (RECEIPT, told):
        stored = Result(SHORT, receipt, Packed(SHORT, receipt).of)
        assert packed(stored) == packed(Result(SHORT, receipt))
        assert stored == Result(SHORT, receipt) and "packed" not in repr(stored)
    assert unpacked(packed(Result(SHORT, told))) == Result(SHORT, Receipt("r"))


@pytest.mark.anyio
async def test_the_cache_in_memory_holds_no_bytes_beside_the_answer() -> None:
    cache, stored = Exact(), Result(SHORT, RECEIPT, Packed(SHORT, RECEIPT).of)
    await cache.keep("k", stored)
    found = await cache.look("k", RECEIPT.caller)
    assert found == stored and found is not None and found.packed is None
