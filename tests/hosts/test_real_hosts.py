"""What the model behind a real host sees of Plenum: Claude Code, Codex and Gemini CLI from npm, their model a fake one.

The hosts are most of a gigabyte to fetch, so these are long runs. Without npm they are skipped, and say so.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "server"))

import clients
from clients import CLAUDE, CODEX, GEMINI, ROOT, Place, node
from fake_model import DONE, FakeModel, Step
from household import opener_of, small_app

from server.face import INSTRUCTIONS
from server.house import House
from server.tools import tools

SCRIPT = (
    Step("generate", {"prompt": "What is 6*7?", "model": "sim/fast"}),
    Step("generate", {"prompt": "What is 6*7?", "model": "sim/fst"}),
    Step("fuse", {"prompt": "What is 6*7?", "answer": "number", "models": ["sim/fast", "sim/smart"]}),
)
ADDED = {"wait_for_previous"}  # Gemini CLI's own parameter


@dataclass(frozen=True)
class Host:
    """A host, how it names and shows things: the form of a tool's schema, of a result, and what it puts around results."""

    run: Callable[[Place, str], Any]
    name: Callable[[str], str]
    schema: str
    shown: Callable[[Any], str]
    pinned_only: bool = False  # other tools are found by searching


def _claude_text(result: dict[str, Any]) -> str:
    content = result["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    return text.partition("\n\n<system-reminder>")[0]


def _codex_text(result: dict[str, Any]) -> str:
    output = result["output"]
    text = output if isinstance(output, str) else "".join(part["text"] for part in output)
    return text.partition("Output:")[2].lstrip("\n")


def _gemini_text(result: dict[str, Any]) -> str:
    response = result["response"]
    if "error" in response:
        return response["error"]
    return response["output"].removeprefix("<untrusted_context>\n").removesuffix("\n</untrusted_context>")


HOSTS = {
    CLAUDE: Host(clients.claude, "mcp__plenum__{}".format, "input_schema", _claude_text, pinned_only=True),
    CODEX: Host(clients.codex, str, "parameters", _codex_text),
    GEMINI: Host(clients.gemini, "mcp_plenum_{}".format, "parametersJsonSchema", _gemini_text),
}
SERVED = {tool.name: tool for tool in tools(House(opener_of(small_app())))}


@pytest.fixture(scope="module", params=HOSTS)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Host, FakeModel]:
    """One conversation in which the model calls every step of the script, and all that it was sent."""
    try:
        node.package(request.param)
    except node.Unreachable as why:
        pytest.skip(str(why))
    host = HOSTS[request.param]
    with FakeModel(SCRIPT) as model:
        done = host.run(Place.below(tmp_path_factory.mktemp("host"), model.url), "Go.")
    assert done.returncode == 0, done.stdout + done.stderr
    assert DONE in done.stdout
    assert model.turns and len(model.results) == len(SCRIPT), done.stdout + done.stderr
    return host, model


def plain(text: str) -> str:
    """One host writes dots for an ellipsis."""
    return text.replace("…", "...")


def words(body: Any) -> str:
    """Every text in a request, as written."""
    if isinstance(body, dict):
        return "\n".join(words(value) for value in body.values())
    return "\n".join(words(value) for value in body) if isinstance(body, list) else str(body)


@pytest.mark.soak
def test_the_model_reads_our_instructions_whole_and_once(seen: tuple[Host, FakeModel]) -> None:
    _, model = seen
    assert words(model.first.body).count(INSTRUCTIONS) == 1


@pytest.mark.soak
def test_the_two_main_tools_are_in_the_prompt_from_the_first_turn_described_as_we_wrote(
    seen: tuple[Host, FakeModel],
) -> None:
    host, model = seen
    for name in ("generate", "fuse"):
        offered = model.first.tools[host.name(name)]
        schema = offered[host.schema]
        assert plain(SERVED[name].description) in plain(offered["description"])
        assert set(schema["properties"]) - ADDED == set(SERVED[name].parameters["properties"])
        told = {k: v.get("description") for k, v in SERVED[name].parameters["properties"].items()}
        assert {k: schema["properties"][k].get("description") for k in told} == told


@pytest.mark.soak
def test_the_other_tools_are_offered_or_can_be_searched_for(seen: tuple[Host, FakeModel]) -> None:
    host, model = seen
    for name in (host.name("list_models"), host.name("costs")):
        assert (name in model.first.tools) is not host.pinned_only
        assert name in words(model.first.body) or name in model.first.tools


@pytest.mark.soak
def test_an_answer_is_shown_as_prose_with_its_footer_and_nothing_around_it(seen: tuple[Host, FakeModel]) -> None:
    host, model = seen
    text = host.shown(model.results[0])
    answer, _, footer = text.strip().rpartition("\n\n— ")
    assert answer == "[simulated] The answer is 42."
    assert footer.startswith("sim/fast · $")
    assert " s · g_" in footer


@pytest.mark.soak
def test_a_refusal_says_what_happened_and_what_to_do_in_whichever_form_is_shown(seen: tuple[Host, FakeModel]) -> None:
    """The host is asked whether sim/fast was meant, where it can be; nobody is there to say yes."""
    host, model = seen
    text = host.shown(model.results[1])
    for part in ("sim has no model 'fst'", "no_model", "Did you mean sim/fast", "sim/smart"):
        assert part in text


@pytest.mark.soak
def test_a_fused_answer_is_shown_as_one_json_document(seen: tuple[Host, FakeModel]) -> None:
    host, model = seen
    fused = json.loads(host.shown(model.results[2]))
    assert fused["answer"] == "42"
    assert set(fused) >= {"summary", "status", "confidence", "agreement", "needs_review", "dissent", "cost_usd", "id"}
    assert list(fused)[:2] == ["answer", "summary"]


@pytest.mark.soak
def test_claude_codes_plugin_is_valid_by_its_own_tool(tmp_path: Path) -> None:
    _valid(CLAUDE, ["plugin", "validate", str(ROOT / "packaging/claude-plugin")], "Validation passed", tmp_path)


@pytest.mark.soak
def test_geminis_extension_is_valid_by_its_own_tool(tmp_path: Path) -> None:
    _valid(GEMINI, ["extensions", "validate", str(ROOT / "packaging/gemini")], "successfully validated", tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize(("package", "arguments", "file"), [
    (CLAUDE, ["plugin", "validate"], ".claude-plugin/plugin.json"),
    (GEMINI, ["extensions", "validate"], "gemini-extension.json"),
])  # fmt: skip
def test_the_same_tools_refuse_a_package_without_a_name(
    package: str, arguments: list[str], file: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken" / file
    broken.parent.mkdir(parents=True)
    broken.write_text('{"version": "0.1.0"}')
    done = _validated(package, [*arguments, str(tmp_path / "broken")], tmp_path)
    assert done.returncode != 0


def _valid(package: str, arguments: list[str], said: str, tmp_path: Path) -> None:
    done = _validated(package, arguments, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def _validated(package: str, arguments: list[str], tmp_path: Path) -> Any:
    try:
        return clients.tool(package, arguments, Place.below(tmp_path, ""))
    except node.Unreachable as why:
        pytest.skip(str(why))


def test_the_page_about_hosts_names_the_versions_that_are_tested() -> None:
    page = (ROOT / "docs/hosts.md").read_text()
    for version in node.HOSTS.values():
        assert version in page
