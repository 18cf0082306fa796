"""Questions to the person behind a host, and calls that become tasks."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from mcp import Client
from mcp.types import ElicitResult

sys.path.insert(0, str(Path(__file__).parent))

from household import opener_of, small_app

from providers.simulator import load_scenario
from routing.errors import BudgetExceeded, Next, NoModel, PolicyForbids
from server.config import Config
from server.face import face
from server.house import House

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])


def refusing(refusal, *, until) -> SimpleNamespace:
    """An app whose manager refuses until the ask is as `until` wants it."""
    app = small_app()
    answer = app.manager.generate

    async def generate(ask, tell):
        if not until(app, ask):
            raise refusal
        return await answer(ask, tell)

    app.manager.generate = generate
    return app


def client(app, mode: str, answer: ElicitResult | None) -> tuple[Client, list[str]]:
    asked: list[str] = []

    async def elicit(ctx, params) -> ElicitResult:
        asked.append(params.message)
        return answer

    more = {"elicitation_callback": elicit} if answer is not None else {}
    return Client(face(House(opener_of(app))), mode=mode, read_timeout_seconds=20, **more), asked


YES = ElicitResult(action="accept", content={"ok": True})
NO = ElicitResult(action="accept", content={"ok": False})
DECLINED = ElicitResult(action="decline")
TYPO = NoModel(
    "No configured provider has sim/fst.",
    hint="Did you mean sim/fast?",
    next_call=Next("generate", {"model": "sim/fast"}),
)


@MODES
async def test_a_yes_takes_the_model_that_was_meant(mode: str) -> None:
    session, asked = client(refusing(TYPO, until=lambda app, ask: ask.model == "sim/fast"), mode, YES)
    async with session:
        result = await session.call_tool("generate", {"prompt": "x", "model": "sim/fst"})
    assert not result.is_error
    assert asked == ["No configured provider has sim/fst. Ask sim/fast instead?"]


@MODES
async def test_a_call_with_a_yes_is_no_twin_of_the_one_being_refused_but_of_another_with_the_same_yes(
    mode: str,
) -> None:
    keys: list[str] = []
    session, _ = client(
        refusing(TYPO, until=lambda app, ask: keys.append(ask.key) or ask.model == "sim/fast"), mode, YES
    )
    async with session:
        for _ in range(2):
            await session.call_tool("generate", {"prompt": "x", "model": "sim/fst"})
    refused, confirmed = keys[0], keys[-1]
    assert refused != confirmed
    assert set(keys) == {refused, confirmed}


@MODES
@pytest.mark.parametrize("answer", [NO, DECLINED, None], ids=["no", "declined", "cannot be asked"])
async def test_without_a_yes_the_refusal_stands(mode: str, answer) -> None:
    session, _ = client(refusing(TYPO, until=lambda app, ask: ask.model == "sim/fast"), mode, answer)
    async with session:
        result = await session.call_tool("generate", {"prompt": "x", "model": "sim/fst"})
    assert result.is_error
    assert result.structured_content["error"]["code"] == "no_model"
    assert result.structured_content["error"]["next"] == {"tool": "generate", "arguments": {"model": "sim/fast"}}


@MODES
async def test_a_yes_over_budget_allows_just_what_was_asked_for(mode: str) -> None:
    allowed: dict[str, float] = {}
    refusal = BudgetExceeded("The day's budget is spent.", may_ask=True, need_usd=0.25)
    app = refusing(refusal, until=lambda app, ask: ask.id in allowed)
    app.purse = SimpleNamespace(allow=allowed.__setitem__)
    session, asked = client(app, mode, YES)
    async with session:
        assert not (await session.call_tool("generate", {"prompt": "x"})).is_error
    assert list(allowed.values()) == [0.25]
    assert "$0.25" in asked[0]


@MODES
async def test_a_yes_lets_one_question_leave_the_allowed_regions(mode: str) -> None:
    app = refusing(PolicyForbids("No allowed region."), until=lambda app, ask: ask.any_region)
    app.config = Config.model_validate({"security": {"allowed_regions": ["eu"]}})
    session, asked = client(app, mode, YES)
    async with session:
        assert not (await session.call_tool("generate", {"prompt": "x"})).is_error
    assert "(eu)" in asked[0]


class Fused(SimpleNamespace):
    def told(self, *, full: bool):
        return {"answer": "42", "summary": "All agree.", "status": "agreed", "id": self.id}


def fusing(seconds: float = 0.3) -> SimpleNamespace:
    app = small_app(load_scenario(json.dumps({"models": {"fast": {"latency_s": seconds}}})))

    async def fuse(ask, tell):
        result = await app.manager.generate(ask.ask, tell)
        return Fused(id=result.receipt.id, receipt=result.receipt)

    app.fusion = SimpleNamespace(fuse=fuse)
    return app


@MODES
async def test_fuse_without_tasks_answers_and_its_structure_matches_its_text(mode: str) -> None:
    async with Client(face(House(opener_of(fusing()))), mode=mode, read_timeout_seconds=20) as session:
        result = await session.call_tool("fuse", {"prompt": "6*7?"})
    assert json.loads(result.content[0].text) == result.structured_content
    assert result.meta["plenum/receipt"]["id"] == result.structured_content["id"]


async def test_cancelling_a_call_stops_the_panel() -> None:
    app = fusing(30.0)
    async with Client(face(House(opener_of(app))), read_timeout_seconds=20) as session:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.call_tool, "fuse", {"prompt": "6*7?"})
                while not app.manager.calls:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            while not app.manager.cancelled:
                await anyio.sleep(0.01)
