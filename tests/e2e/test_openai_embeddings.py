"""Embeddings: the official client against `/v1/embeddings`, paid and counted like every call."""

import math
import sys
from pathlib import Path

import openai
import pytest

from providers.simulator.model import embed

sys.path.insert(0, str(Path(__file__).parents[1] / "server/http"))

from behind import behind

pytestmark = pytest.mark.anyio


async def test_texts_become_vectors_in_order_and_are_paid(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        create = here.client().embeddings.create
        raw = await here.client().embeddings.with_raw_response.create(model="one/embed", input=["cat", "dog", "cat"])
        found = raw.parse()
        plain = await create(model="one/embed", input="cat", encoding_format="float")
        default = await create(model="auto", input="cat")
        receipt = await here.app.journal.receipt(raw.headers["x-plenum-receipt"], "team-secret")
    vectors = [item.embedding for item in found.data]
    assert [item.index for item in found.data] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert vectors[0] == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert (found.model, default.model) == ("one/embed", "one/embed")
    assert found.usage.prompt_tokens == receipt.usage.input > 0
    assert receipt.cost_usd == pytest.approx(found.usage.prompt_tokens * 0.1 / 1e6)
    assert receipt.cost_basis == "priced"


async def test_many_texts_go_in_several_calls_and_come_back_as_one_answer(tmp_path: Path) -> None:
    texts = [f"text number {number}" for number in range(200)]
    async with behind(tmp_path) as here:
        found = await here.client().embeddings.create(model="one/embed", input=texts)
        sizes = [len(entry["body"]["input"]) for entry in await here.log()]
    assert sizes == [96, 96, 8] and len(found.data) == 200
    for text, item in zip(texts, found.data, strict=True):
        assert item.embedding == pytest.approx(embed(text), abs=1e-6)


REFUSED = {
    "a chat model": ({"model": "one/fast"}, openai.NotFoundError),
    "nobody": ({"model": "nosuch"}, openai.NotFoundError),
    "tokens in place of text": ({"input": [[1, 2, 3]]}, openai.BadRequestError),
    "nothing": ({"input": []}, openai.BadRequestError),
    "an empty text": ({"input": ["a", ""]}, openai.BadRequestError),
    "fewer dimensions than the model can": ({"dimensions": 8}, openai.BadRequestError),
    "no money": ({"extra_body": {"plenum": {"max_cost_usd": 0}}}, openai.RateLimitError),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    change, kind = REFUSED[name]
    async with behind(tmp_path) as here:
        with pytest.raises(kind):
            await here.client().embeddings.create(**{"model": "one/embed", "input": "cat", **change})
        assert not await here.log()


async def test_vectors_that_may_be_are_shortened_to_unit_length() -> None:
    from routing.embedding import Embedded
    from routing.types import Receipt
    from server.http.openai.embedding import EmbeddingsBody, written

    body = EmbeddingsBody(input="x", model="text-embedding-3-small", dimensions=2)
    found = Embedded(vectors=((0.6, 0.0, 0.8),))
    told = written(body, found, Receipt("e_1", provider="openai", model="text-embedding-3-small"))
    assert told["data"][0]["embedding"] == [1.0, 0.0]
    assert math.hypot(*told["data"][0]["embedding"]) == pytest.approx(1)
