"""Ranking by meaning: what shares no word is found, vectors are bought once, and whoever cannot make them is done without."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.types import Message, Request, Text
from routing.costs.reports import Query
from routing.errors import NoModel
from routing.types import Ask, Receipt
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.context import nearness, ranking
from server.context.service import contexts
from tests.doubles import Listed, ask
from tests.server.context.place import REMOTE, configured, material, odd, reads

pytestmark = pytest.mark.anyio
MEANING = '[context]\nranking = "meaning"\n'
ABOUT = {"young": (1.0, 0.0), "nest": (0.9, 0.1)}  # what shares no word and means the same; all else lies apart


class Embedder:
    """Vectors by the words above; keeps who asked for what."""

    def __init__(self, fault: Exception | None = None, hangs: bool = False) -> None:
        self.calls: list[tuple[Sequence[str], Ask]] = []
        self.fault, self.hangs = fault, hangs

    async def embed(self, texts: Sequence[str], errand: Ask) -> tuple[SimpleNamespace, Receipt]:
        self.calls.append((texts, errand))
        if self.hangs:
            await anyio.sleep_forever()
        if self.fault is not None:
            raise self.fault
        vectors = [next((v for word, v in ABOUT.items() if word in text), (0.0, 1.0)) for text in texts]
        return SimpleNamespace(vectors=vectors), Receipt("e")


def birds(folder: Path, more: str = "", toml: str = MEANING):
    servers = {"birds": odd(folder, "healthy", "Herons nest in colonies."), "cars": odd(folder, "b", "Cars rust.")}
    return configured(folder, servers, toml + reads("birds", "cars", more=more))


async def told_of(loaded, embedder: Embedder, *asks: Ask) -> list[Ask]:
    async with contexts(loaded.folders.data, loaded.environment) as sources:
        sources.adopt(loaded, Listed((REMOTE,)), embedder.embed)
        return [await sources.add(each) for each in asks]


QUESTION = "Where do they raise their young?"


async def test_what_shares_no_word_with_the_prompt_is_found_by_its_meaning(tmp_path: Path) -> None:
    (told,) = await told_of(birds(tmp_path), Embedder(), ask(QUESTION))
    assert "Herons nest in colonies." in material(told) and "Cars" not in material(told)
    (told,) = await told_of(birds(tmp_path, toml=""), embedder := Embedder(), ask(QUESTION))
    assert not material(told) and embedder.calls == []  # nobody asked for it: nothing is sent anywhere


async def test_material_is_embedded_once_and_a_known_prompt_costs_nothing(tmp_path: Path) -> None:
    embedder = Embedder()
    asked = [ask(QUESTION), ask(QUESTION), ask("Whose young are these?")]
    first, again, other = await told_of(birds(tmp_path), embedder, *asked)
    assert [len(texts) for texts, _ in embedder.calls] == [3, 1]
    assert first.request == again.request and material(first) == material(other)


async def test_vectors_are_bought_in_the_envelope_of_the_ask_and_for_its_caller(tmp_path: Path) -> None:
    embedder = Embedder()
    mine = ask(QUESTION, id="g_1", caller="ann", max_cost_usd=0.5, allowed_models=("openai/*",))
    await told_of(birds(tmp_path), embedder, mine)
    ((_, errand),) = embedder.calls
    assert (errand.part_of, errand.caller, errand.max_cost_usd) == ("g_1", "ann", 0.5)
    assert (errand.sources, errand.allowed_models, errand.local_only) == (("none",), ("openai/*",), False)


async def test_what_may_not_leave_this_machine_is_embedded_on_it_or_not_at_all(tmp_path: Path) -> None:
    embedder = Embedder()
    loaded = birds(tmp_path, more='trust = "local"')
    await told_of(loaded, embedder, ask(QUESTION, sources=("birds",)))
    ((_, errand),) = embedder.calls
    assert errand.local_only


@pytest.mark.parametrize("embedder", [Embedder(NoModel("gone")), Embedder(hangs=True)], ids=["fails", "hangs"])
async def test_without_vectors_words_decide_and_the_receipt_says_so(tmp_path: Path, embedder, monkeypatch) -> None:
    monkeypatch.setattr(nearness, "PATIENCE_S", 0.05)
    loaded = birds(tmp_path)
    by_words, by_meaning = await told_of(loaded, embedder, ask("Where do herons nest?"), ask(QUESTION))
    assert "Herons" in material(by_words) and not material(by_meaning)
    assert by_words.warnings == by_meaning.warnings == (nearness.SILENT,)


async def test_vectors_are_paid_and_booked_like_any_call(tmp_path: Path) -> None:
    home = tmp_path / "c"
    home.mkdir()
    (home / "plenum.toml").write_text(
        f'[providers]\nauto = false\n[embeddings]\nmodel = "sim/embed"\n{MEANING}' + reads("birds"), "utf-8"
    )
    birds_file = configured(tmp_path, {"birds": odd(tmp_path)}).folders.config / "mcp.json"
    birds_file.replace(home / "mcp.json")
    world = World({"PLENUM_CONTEXT_FILE": str(home / "mcp.json")}, home, Folders(home, tmp_path / "d"))
    async with opener(world, demo=True)() as app:
        request = Request((Message("user", (Text("What is the heron code?"),)),), max_tokens=512)
        result = await app.manager.generate(Ask(request, model="sim/echo", sources=("birds",), id="g_x"))
        assert "7741" in result.answer.text
        lines = await app.costs.lines(Query(0.0, 4e9, "all"))
        assert {line.model for line in lines} == {"echo", "embed"}


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(-1, 1)), min_size=1, max_size=20))
def test_who_leads_in_both_rankings_leads_the_merged_one(pairs) -> None:
    lexical, near = zip(*pairs, strict=True)
    merged = ranking.merged(lexical, near)
    for one, (words, meaning) in enumerate(pairs):
        for other, (fewer, further) in enumerate(pairs):
            if words >= fewer and meaning >= further:
                assert merged[one] >= merged[other]
    assert ranking.merged(lexical, ()) == lexical
