"""The whole house, opened as a host would: on the simulator, with a real store."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client

from providers.simulator.server import serve
from providers.types import Message, Request, Text
from routing.errors import BudgetExceeded, Misconfigured, NoModel
from routing.fusion.ask import FuseAsk
from routing.types import Ask
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House
from server.living import reload

pytestmark = pytest.mark.anyio


def world(home: Path, **environment: str) -> World:
    return World({"PLENUM_PROVIDERS_AUTO": "false", **environment}, home, Folders(home / "c", home / "d"))


def ask(prompt: str = "What is 2+2?", model: str = "sim/fast", **more) -> Ask:
    return Ask(Request((Message("user", (Text(prompt),)),), max_tokens=64), model=model, **more)


async def test_an_answer_is_paid_for_and_its_receipt_kept(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        result = await app.manager.generate(ask())
        assert "4" in result.answer.text and result.receipt.simulated and result.receipt.cost_usd > 0
        assert app.journal is not None
        assert await app.journal.receipt(result.receipt.id, "local") == result.receipt
        assert await app.journal.receipt(result.receipt.id, "somebody") is None


async def test_a_refusal_can_be_looked_up_by_its_id_and_by_its_caller_only(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        with pytest.raises(NoModel) as caught:
            await app.manager.generate(ask(model="sim/nobody"))
        id_ = caught.value.receipt.id
        kept = await app.journal.receipt(id_, "local")
        assert (kept.refusal.code, kept.refusal.message) == ("no_model", caught.value.message)
        assert await app.journal.receipt(id_, "somebody") is None
        assert await app.journal.answer(id_, "local") is None
    async with opener(world(tmp_path), demo=True)() as app:
        assert (await app.journal.receipt(id_, "local")).refusal == kept.refusal


async def test_what_is_only_explained_leaves_no_refusal(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        with pytest.raises(NoModel):
            await app.manager.explain(ask(model="sim/nobody"))
        assert list(await app.journal.newest(9)) == []


async def test_the_budget_of_the_configuration_holds_across_two_hosts(tmp_path: Path) -> None:
    here = world(tmp_path, PLENUM_BUDGET_DAILY_USD="0.0003")
    async with opener(here, demo=True)() as one, opener(here, demo=True)() as two:
        await one.manager.generate(ask("a"))
        with pytest.raises(BudgetExceeded):
            for number in range(20):
                await two.manager.generate(ask(f"b{number} " + "word " * 40))


async def test_a_broken_configuration_opens_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/plenum.toml").write_text("[routing]\nstratgy = 1\n")
    async with opener(world(tmp_path))() as app:
        assert app.fault
        with pytest.raises(Misconfigured) as caught:
            await app.manager.generate(ask())
    assert "plenum config check" in caught.value.hint and str(tmp_path) not in caught.value.message


BROKEN = {
    "a type": "[routing]\nstratgy = 1\n",
    "a strategy": '[routing]\nstrategy = "cheep"\n',
    "a provider": "[providers.alpha]\n",
    "a store": '[store]\nurl = "mysql://here"\n',
}


@pytest.mark.parametrize("name", BROKEN)
async def test_every_tool_tells_of_a_broken_configuration_and_works_once_it_is_mended(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / "c/plenum.toml"
    file.parent.mkdir()
    file.write_text(BROKEN[name])
    async with Client(face(House(opener(world(tmp_path), demo=True)))) as session:
        for tool in ("generate", "fuse", "list_models", "costs"):
            said = {"prompt": "Hello"} if tool in ("generate", "fuse") else {}
            told = (await session.call_tool(tool, said)).structured_content
            assert told["error"]["code"] == "configuration" and "plenum config check" in told["error"]["hint"], tool
        file.write_text("")
        assert not (await session.call_tool("generate", {"prompt": "Hello"})).is_error


async def test_a_changed_file_is_in_force_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "c/plenum.toml"
    file.parent.mkdir()
    file.write_text('[routing]\nstrategy = "cost"\n')
    here = world(tmp_path)
    async with opener(here, demo=True)() as app:
        file.write_text('[routing]\nstrategy = "quality"\n')
        os.utime(file, (1, 1))
        with anyio.fail_after(30):
            while app.config.routing.strategy != "quality":
                await anyio.sleep(0.05)  # the files are looked at once a second
        for number, broken in enumerate(BROKEN.values(), 2):
            file.write_text(broken)
            os.utime(file, (number, number))
            assert not await reload(here, lambda _: pytest.fail("built"), app)
            assert (await app.manager.generate(ask())).receipt.strategy == "quality"


async def test_without_any_provider_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    async with opener(world(tmp_path))() as app:
        with pytest.raises(Exception) as caught:
            await app.manager.generate(ask(model="auto"))
    assert caught.value.code == "no_model" and caught.value.hint


async def test_a_conversation_goes_on_with_its_handle_and_is_its_callers_own(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        first = await app.manager.generate(ask("My name is Ada.", model="sim/echo"))
        second = await app.manager.generate(ask("Who am I?", "sim/echo", conversation=first.receipt.conversation))
        assert "My name is Ada." in second.answer.text
        with pytest.raises(Exception) as caught:
            await app.manager.generate(ask("x", "sim/echo", conversation=first.receipt.id, caller="eve"))
    assert caught.value.code == "invalid_request"


async def test_an_old_name_is_served_by_its_successor_told_to_behave_like_it(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    async with serve() as base:
        text = f'[providers.deepseek]\napi_key = "k"\nbase_url = "{base}/openai/v1"\n'
        (tmp_path / "c/plenum.toml").write_text(text)
        async with opener(world(tmp_path))() as app:
            plain = await app.manager.generate(ask(model="deepseek-chat"))
            thinking = await app.manager.generate(ask(model="deepseek-reasoner"))
    assert plain.receipt.model == thinking.receipt.model == "deepseek-flash"
    assert not plain.answer.reasoning and thinking.answer.reasoning
    assert any("deepseek-chat" in warning for warning in plain.receipt.warnings)


async def test_in_a_demo_what_is_not_named_goes_to_a_model_that_works(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        for strategy in ("cost", "quality", "performance", "balanced"):
            async with app.manager.stream(ask("Why is the sky blue?", "auto", strategy=strategy)) as stream:
                assert [delta async for delta in stream]
            assert stream.result.receipt.provider == "sim"
        assert (await app.manager.generate(ask(model="relay"))).receipt.provider == "sim-west"


async def test_in_a_demo_a_panel_that_is_not_named_is_of_models_that_work(tmp_path: Path) -> None:
    async with opener(world(tmp_path), demo=True)() as app:
        result = await app.fusion.fuse(FuseAsk(ask("What is 17 + 25?", "auto"), effort="thorough"))
        assert (result.answer, result.status, result.needs_review) == ("42", "agreed", False)
        assert {c.provider for c in result.candidates} == {"sim", "sim-west"}
        named = await app.fusion.fuse(FuseAsk(ask("What is 17 + 25?", "auto"), models=("sim-east/smart", "sim/smart")))
        assert {c.provider: c.status for c in named.candidates} == {"sim-east": "failed", "sim": "answered"}


async def test_a_demo_starts_no_upstream_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    marked = tmp_path / "started"
    entry = {"command": sys.executable, "args": ["-c", f"open({str(marked)!r}, 'w')"]}
    (tmp_path / "c/mcp.json").write_text(json.dumps({"mcpServers": {"mine": entry}}))
    async with opener(world(tmp_path), demo=True)() as app:
        (view,) = app.context.view()
        assert (view.server, view.state) == ("mine", "off") and "demo" in view.last_error
        assert (await app.manager.generate(ask())).receipt.context == ()
    assert not marked.exists()


async def test_costs_may_be_asked_for_all_of_time(tmp_path: Path) -> None:
    async with Client(face(House(opener(world(tmp_path), demo=True)))) as session:
        for said in ({"from": "0001-01-01", "to": "9999-12-31"}, {"from": "9999-12-31"}, {"to": "0001-01-01"}):
            told = await session.call_tool("costs", said)
            code = (told.structured_content or {}).get("error", {}).get("code", "invalid_request")
            assert code == "invalid_request", said
        everything = await session.call_tool("costs", {"from": "0001-01-01", "to": "9999-12-31"})
    assert not everything.is_error
