"""Experiments in a whole house: configured, paid from their own purse, reported by the command."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from providers.simulator.server import serve
from providers.types import Message, Request, Text
from routing.types import Ask
from server.app import opener
from server.cli import run
from server.config import ConfigFault
from server.config.load import Folders
from server.config.world import World

pytestmark = pytest.mark.anyio

PROVIDERS = """
[providers.one]
dialect = "openai_chat"
base_url = "{base}/openai/v1"
priority = 1
[[providers.one.models]]
id = "fast"
price = {{ input = 10, output = 10 }}
quality = 0.9
[providers.two]
dialect = "openai_chat"
base_url = "{base}/openai/v1"
[[providers.two.models]]
id = "smart"
price = {{ input = 1, output = 1 }}
quality = 0.8
"""


def ask(prompt: str, **more) -> Ask:
    return Ask(Request((Message("user", (Text(prompt),)),), max_tokens=64), **more)


def world(home: Path, text: str) -> World:
    (home / "c").mkdir(exist_ok=True)
    (home / "c/plenum.toml").write_text(text)
    return World({"PLENUM_PROVIDERS_AUTO": "false"}, home, Folders(home / "c", home / "d"))


@asynccontextmanager
async def house(home: Path, experiment: str):
    async with serve() as base, opener(world(home, PROVIDERS.format(base=base) + experiment))() as app:
        yield app


async def settled(app, count: int):
    with anyio.fail_after(60):
        while len(found := await app.store.trials.since(0.0)) < count:
            await anyio.sleep(0.05)
    return found


async def tried(app, count: int) -> None:
    """Until so many shadows were asked or left out."""
    with anyio.fail_after(60):
        while len(await app.store.trials.since(0.0)) // 2 + app.manager._shadowing.aside.left_out < count:
            await anyio.sleep(0.02)


async def lines(app):
    return await app.store.books.lines(0.0, 1e12)


SHADOW = '[experiments.cheaper]\nkind = "shadow"\nshare = 1.0\nmodel = "two/smart"\n'


async def test_a_shadow_is_booked_apart_and_the_caller_knows_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, SHADOW) as app:
        result = await app.manager.generate(ask("What is 2+3?", caller="ada"))
        control, arm = await settled(app, 2)
        booked = {(line.caller, line.provider) for line in await lines(app)}
    assert result.receipt.provider == "one" and result.receipt.warnings == ()
    assert booked == {("ada", "one"), ("experiment:cheaper", "two")}
    assert (control.id, arm.pair) == (result.receipt.id, result.receipt.id)
    assert 0 < arm.nano < control.nano and (arm.agreement, arm.basis) == (1.0, "number")


async def test_a_shadow_follows_a_conversation_it_does_not_own(tmp_path: Path) -> None:
    async with house(tmp_path, SHADOW) as app:
        first = await app.manager.generate(ask("My lucky number is 7341.", caller="ada"))
        await app.manager.generate(ask("And?", caller="ada", conversation=first.receipt.id))
        found = await settled(app, 4)
        sums = {line.caller: line.input for line in await lines(app)}
    assert all(trial.ok for trial in found)
    assert sums["experiment:cheaper"] == sums["ada"]  # both read the whole thread


async def test_shadows_end_with_their_own_money_and_nobody_elses(tmp_path: Path) -> None:
    async with house(tmp_path, SHADOW + "daily_usd = 0.0003\n") as app:
        for number in range(8):
            await app.manager.generate(ask(f"Tell me of river {number}.", caller="ada"))
            await tried(app, number + 1)
        budgets = {budget.scope: budget for budget in await app.costs.budgets()}
        spent = sum(line.nano for line in await lines(app) if line.caller == "experiment:cheaper") / 1e9
        callers = sum(line.calls for line in await lines(app) if line.caller == "ada")
    purse = budgets["caller:experiment:cheaper"]
    assert purse.limit_usd == 0.0003 and 0 < spent <= 0.0003 and purse.overrun_usd == 0
    assert callers == 8


async def test_what_a_callers_token_forbids_no_shadow_does(tmp_path: Path) -> None:
    async with house(tmp_path, SHADOW) as app:
        result = await app.manager.generate(ask("What is 2+3?", caller="ada", allowed_models=("one/*",)))
        await tried(app, 1)
        callers = {line.caller for line in await lines(app)}
    assert result.receipt.provider == "one"
    assert callers == {"ada"}


async def test_a_split_by_strategy_and_its_report(tmp_path: Path) -> None:
    split = '[experiments.thrift]\nkind = "split"\nshare = 0.5\nstrategy = "cost"\n'
    providers = PROVIDERS.replace("priority = 1\n", "")
    async with serve() as base:
        written = providers.format(base=base) + split + '[routing]\nstrategy = "quality"\n'
        async with opener(world(tmp_path, written))() as app:
            async with anyio.create_task_group() as tasks:
                for number in range(24):
                    tasks.start_soon(app.manager.generate, ask(f"What is {number}+1?", key=f"k{number}"))
            found = await settled(app, 24)
    by_arm = {arm: {t.model for t in found if t.arm == arm} for arm in ("control", "arm")}
    assert by_arm == {"control": {"one/fast"}, "arm": {"two/smart"}}


CASES = [
    ('[experiments.a]\nkind = "shadow"\nshare = 0.5\n', "needs an arm"),
    ('[experiments.a]\nkind = "split"\nshare = 0.5\nof = "one/fast"\nmodel = "two/smart"\n', "a split may not be of"),
    ('[experiments.a]\nkind = "both"\nshare = 0.5\nmodel = "x"\n', "shadow"),
    ('[experiments.a]\nkind = "split"\nshare = 0\nmodel = "x"\n', "greater than 0"),
    ('[experiments.a]\nkind = "split"\nsare = 0.1\nmodel = "x"\n', "share"),
    (
        "".join(f'[experiments.{n}]\nkind = "split"\nshare = 0.1\nmodel = "x"\n' for n in "ab"),
        "two splits of auto",
    ),
]


@pytest.mark.parametrize(("text", "said"), CASES)
def test_an_experiment_that_could_say_nothing_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        world(tmp_path, text).load()
    assert said in str(caught.value)


def test_the_commands_report_and_replay(tmp_path: Path, monkeypatch, capsys) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PLENUM_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "ab.toml"
    config.write_text(
        '[routing]\nstrategy = "quality"\n[experiments.thrift]\nkind = "split"\nshare = 0.5\nstrategy = "cost"\n'
    )
    words = ["--config", str(config)]
    assert run(["ab", "report", *words]) == 0
    assert "Nothing can be compared yet" in capsys.readouterr().out
    assert run(["ab", "report", "nobody", *words]) == 2
    assert "There is: thrift" in capsys.readouterr().err
    for number in range(4):
        assert run(["ask", f"What is {number}+1?", "--demo", "--json", *words]) == 0
    capsys.readouterr()
    assert run(["ab", "report", "--json", *words]) == 0
    (experiment,) = json.loads(capsys.readouterr().out)["experiments"]
    assert sum(experiment["trials"].values()) == 4
    assert {measure["name"] for measure in experiment["measures"]} == {
        "cost",
        "latency",
        "contract failures",
        "no answer",
    }
    assert run(["ab", "replay", "--strategy", "cost", "--demo", *words]) == 0
    told = capsys.readouterr().out
    assert "4 asks of the last 7 days" in told and "Not known:" in told
    assert run(["ab", "replay", "--strategy", "magic", "--demo", *words]) == 2
