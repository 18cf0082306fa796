"""Every border under Hypothesis: bytes of any kind, JSON of any shape, and true documents with bytes changed."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

WORDS = (
    "prompt messages role content type text model tools name parameters function arguments schema $ref id jsonrpc method "
    "params choices delta index usage error candidates parts output response message done entries lock kind provider origin"
).split()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def twisted(seed: bytes) -> st.SearchStrategy[bytes]:
    """The seed with a few bytes changed, taken out or put in."""
    edit = st.tuples(st.integers(0, max(0, len(seed) - 1)), st.integers(0, 3), st.binary(max_size=4))

    def edited(edits: list[tuple[int, int, bytes]]) -> bytes:
        text = seed
        for at, gone, put in edits:
            text = text[:at] + put + text[at + gone :]
        return text

    return st.lists(edit, max_size=4).map(edited)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_escapes_but_what_is_mapped(name: str) -> None:
    shapes = VALUES.map(lambda value: json.dumps(value).encode())
    anything = st.one_of(st.binary(max_size=80), shapes, *map(twisted, SEEDS[name]))

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(anything)
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_get_through(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
