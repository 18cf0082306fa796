"""A panel in doubt, and the person who may send for a larger one: asked in both eras, paid for once."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from mcp import Client
from mcp.types import ElicitResult

from routing.errors import NoModel
from routing.events import AttemptEnded
from routing.store.faults import StoreFault
from server.app import opener
from server.config import Config
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House
from server.mcp import tasks
from server.mcp.tasks import Task, Terms
from server.tools import results
from server.tools.doubt import Offer, doubted, larger
from tests.server.household import SmallJournal

pytestmark = pytest.mark.anyio
MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
YES = ElicitResult(action="accept", content={"ok": True})
NO = ElicitResult(action="accept", content={"ok": False})
DECLINED = ElicitResult(action="decline")
# Two agree and a third is left, but nothing is ever sure enough.
DOUBTFUL = {
    "prompt": "What is 17 + 25?",
    "answer": "number",
    "models": ["sim/smart", "sim/fast", "sim/dissenter"],
    "min_confidence": 0.99,
}
# Five are left when two have agreed, and even short answers of theirs have to be paid for.
MANY = [f"sim/{name}" for name in ("smart", "slow", "fast", "dissenter", "flaky", "echo")] + ["sim-west/smart"]
FIRST, ALL = ["sim/fast", "sim/smart"], ["sim/dissenter", "sim/fast", "sim/smart"]
ASKABLE = SimpleNamespace(
    client_capabilities=SimpleNamespace(elicitation=object()),
    protocol_version="2025-11-25",
    request_context=SimpleNamespace(session=SimpleNamespace(can_send_request=True)),
)
QUESTION = "The panel's answer is in doubt. Ask a more thorough panel? It may cost up to $"


@dataclass
class Scene:
    """A client of the whole house in a demo, what its person was asked, and who was called."""

    client: Client
    house: House
    questions: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def fuse(self, **more):
        return (await self.client.call_tool("fuse", {**DOUBTFUL, **more})).structured_content

    async def booked(self) -> float:
        app = await self.house.app()
        return sum(line.nano for line in await app.costs.lines(app.costs.period("today"))) / 1e9


@asynccontextmanager
async def scene(home: Path, mode: str, answer=None, **environment: str) -> AsyncGenerator[Scene]:
    world = World({"PLENUM_PROVIDERS_AUTO": "false", **environment}, home, Folders(home / "c", home / "d"))
    house = House(opener(world, demo=True))

    async def elicit(ctx, params) -> ElicitResult:
        found.questions.append(params.message)
        return await answer() if callable(answer) else answer

    def observe(event) -> None:
        if isinstance(event, AttemptEnded):
            found.calls.append(f"{event.attempt.provider}/{event.attempt.model}")

    more = {"elicitation_callback": elicit} if answer is not None else {}
    found = Scene(Client(face(house), mode=mode, read_timeout_seconds=60, **more), house)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(found.client)
        (await house.app()).hub.subscribe(observe)
        yield found


@MODES
async def test_a_yes_asks_the_others_and_nobody_twice(tmp_path: Path, mode: str) -> None:
    async with scene(tmp_path, mode, YES) as held:
        result = await held.fuse()
        booked = await held.booked()
    assert sorted(held.calls) == ALL
    assert (result["answer"], result["agreement"]["pattern"]) == ("42", "2/3")
    assert [dissent["models"] for dissent in result["dissent"]] == [["sim/dissenter"]]
    (question,) = held.questions
    assert question.startswith(QUESTION) and question.endswith(" more.")
    (paid, *_) = (reason for reason in result["reasons"] if "count here too" in reason)
    assert paid.startswith("2 answers of f_")
    assert 0 < result["cost_usd"] < booked


@MODES
@pytest.mark.parametrize("answer", [NO, DECLINED, None], ids=["no", "declined", "cannot be asked"])
async def test_without_a_yes_the_answer_stands(tmp_path: Path, mode: str, answer) -> None:
    async with scene(tmp_path, mode, answer) as held:
        result = await held.fuse()
    assert sorted(held.calls) == FIRST
    assert (result["answer"], result["needs_review"], result["agreement"]["pattern"]) == ("42", True, "2/2")
    assert len(held.questions) == (answer is not None)


@MODES
@pytest.mark.parametrize(
    ("environment", "more"),
    [
        ({"PLENUM_FUSION_IN_DOUBT": "flag"}, {}),
        ({}, {"min_confidence": 0.5}),
        ({}, {"effort": "thorough"}),
        ({}, {"max_calls": 2}),
        ({}, {"models": MANY, "max_cost_usd": 0.0025}),
        ({"PLENUM_BUDGET_DAILY_USD": "0.0025"}, {"models": MANY}),
        ({"PLENUM_STORE_TEXTS": "hash"}, {}),
    ],
    ids=["switched off", "sure enough", "all asked", "no calls left", "own sum small", "budget small", "not kept"],
)
async def test_nobody_is_asked_where_a_yes_is_not_wanted_or_could_not_help(
    tmp_path: Path, mode: str, environment, more
) -> None:
    async with scene(tmp_path, mode, YES, **environment) as held:
        result = await held.fuse(**more)
    assert (held.questions, result["answer"]) == ([], "42")


@MODES
async def test_the_sum_that_was_named_is_not_exceeded(tmp_path: Path, mode: str) -> None:
    async with scene(tmp_path, mode, YES) as held:
        result = await held.fuse(max_cost_usd=0.02)
        assert await held.booked() <= 0.02
    assert sorted(held.calls) == ALL
    assert held.questions == [f"{QUESTION}0.02 more."]
    assert result["cost_usd"] <= 0.02


@MODES
async def test_the_same_yes_again_is_given_what_it_bought(tmp_path: Path, mode: str) -> None:
    async with scene(tmp_path, mode, YES) as held:
        first = await held.fuse(request_id="r-1")
        again = await held.fuse(request_id="r-1")
    assert sorted(held.calls) == ALL
    assert len(held.questions) == 2
    assert again["id"] == first["id"]


async def test_a_task_whose_handle_is_out_asks_nobody() -> None:
    class Read(SmallJournal):
        async def answer(self, id, caller):
            looked.append(id)

    looked: list[str] = []
    app = SimpleNamespace(config=Config(), journal=Read())
    outcome = results.data({"id": "f_1", "needs_review": True})
    assert await doubted(ASKABLE, app, outcome, "local") is None
    assert looked.pop() == "f_1"  # it is not kept; elsewhere it could be asked about
    token = tasks.current.set(Task(None, Terms(), 0.0))
    assert await doubted(ASKABLE, app, outcome, "local") is None
    tasks.current.reset(token)
    assert not looked


async def test_a_person_who_is_not_there_holds_no_answer_back() -> None:
    """Where the question is a request in mid-call, it ends with the host's patience."""
    asked: list[str] = []

    async def elicit(question, _) -> None:
        asked.append(question)
        await anyio.sleep_forever()

    ctx = SimpleNamespace(**vars(ASKABLE), request_state=Offer("f_1", 0.0123).state, elicit=elicit)
    app, first = SimpleNamespace(journal=SmallJournal()), SimpleNamespace(id="f_1", clusters=["a", "b"])
    with anyio.fail_after(30):
        assert await larger(ctx, app, None, first, anyio.current_time()) is None
    assert asked == ["The panel disagrees. Ask a more thorough panel? It may cost up to $0.02 more."]
    assert app.journal.delivered == [("f_1", False), ("f_1", True)]


@MODES
async def test_a_store_that_cannot_be_read_takes_no_answer_away(tmp_path: Path, mode: str) -> None:
    async with scene(tmp_path, mode, YES) as held:
        app = await held.house.app()

        async def unreadable(*_):
            raise StoreFault("busy")

        app.journal.answer = unreadable
        result = await held.fuse()
    assert (held.questions, result["answer"]) == ([], "42")


@MODES
async def test_what_a_refused_larger_panel_leaves_is_the_first_answer_and_why(tmp_path: Path, mode: str) -> None:
    async def nobody_left() -> ElicitResult:
        app = await held.house.app()

        async def refuse(ask, tell):
            raise NoModel("Everybody is gone.")

        app.fusion.fuse = refuse
        return YES

    async with scene(tmp_path, mode, nobody_left) as held:
        result = await held.fuse()
    assert result["agreement"]["pattern"] == "2/2"
    assert "could not be asked: Everybody is gone." in result["reasons"][-1]


async def test_a_host_that_cannot_put_the_question_has_the_answer_at_its_next_call(tmp_path: Path) -> None:
    async def lost() -> ElicitResult:
        raise RuntimeError("no window to ask in")

    async with scene(tmp_path, "auto", lost) as held:
        with pytest.raises(ExceptionGroup):
            await held.fuse()
        result = await held.fuse()
    assert (len(held.questions), result["agreement"]["pattern"]) == (1, "2/2")
    assert sorted(held.calls) == FIRST


async def test_whoever_leaves_at_the_question_is_given_the_answer_when_he_comes_again(tmp_path: Path) -> None:
    async with scene(tmp_path, "legacy", anyio.sleep_forever) as held:
        async with anyio.create_task_group() as group:
            group.start_soon(held.fuse)
            while not held.questions:
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    async with scene(tmp_path, "legacy") as held:
        result = await held.fuse()
    assert (held.calls, result["agreement"]["pattern"]) == ([], "2/2")
