"""What a host is shown, as files to be reviewed like any other text for people: `pytest tests/server/test_golden.py --golden`
writes them anew. Besides, every answer is complete in each of its forms.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from server import callers
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.face import face
from server.house import House
from tests.conftest import GOLDEN

pytestmark = pytest.mark.anyio
EITHER = pytest.mark.parametrize("mode", ["auto", "legacy"])

SUM = "What is 6*7?"
PERSON = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PANEL = {"prompt": SUM, "answer": "number", "models": ["sim/fast", "sim/smart", "sim/dissenter"], "effort": "thorough"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "generate text": ("generate", {"prompt": SUM, "model": "sim/fast"}),
    "generate json": ("generate", {"prompt": SUM, "model": "sim/fast", "format": "json"}),
    "generate schema": ("generate", {"prompt": SUM, "model": "sim/fast", "schema": PERSON}),
    "generate explain": ("generate", {"prompt": SUM, "model": "sim/fast", "explain": True}),
    "generate cut short": ("generate", {"prompt": SUM, "model": "sim/fast", "max_tokens": 1}),
    "generate with a misspelt model": ("generate", {"prompt": SUM, "model": "sim/fst"}),
    "generate with nothing to ask": ("generate", {}),
    "generate with wrong arguments": ("generate", {"prompt": SUM, "max_token": 5, "temperature": 9}),
    "generate without a provider": ("generate", {"prompt": SUM}),
    "generate by an unknown handle": ("generate", {"request_id": "nobody's"}),
    "fuse": ("fuse", PANEL),
    "fuse in full": ("fuse", {**PANEL, "detail": "full"}),
    "fuse explain": ("fuse", {**PANEL, "explain": True}),
    "fuse without a provider": ("fuse", {"prompt": SUM}),
    "list_models": ("list_models", {}),
    "list_models that there are not": ("list_models", {"query": "no such model"}),
    "list_models with wrong arguments": ("list_models", {"limit": 0}),
    "costs": ("costs", {"period": "all"}),
    "costs with wrong arguments": ("costs", {"group_by": "colour"}),
}
PATIENT = {"generate still running": CASES["generate text"], "fuse still running": CASES["fuse"]}

# Of the estimate: it is of bytes until somebody has loaded the tokenizer, in this process or before this test.
MEASURED = {"estimated_cost_usd", "latency_s", "ttft_s", "latency_p50_s", "latency_p95_s", "resets_at"}
_ID = re.compile(r"\b([gf])_[\w-]{16}")
_SECONDS = re.compile(r"\b\d+\.\d s\b")


def client(home: Path, mode: str = "auto") -> Client:
    world = World({"PLENUM_PROVIDERS_AUTO": "false"}, home, Folders(home / "c", home / "d"))
    return Client(face(House(opener(world))), mode=mode, read_timeout_seconds=30)


def steady(value: Any, name: str = "") -> Any:
    """Without what differs from run to run: ids, times, and who of a panel was faster."""
    if isinstance(value, dict):
        return {key: steady(inner, key) for key, inner in value.items() if not key.startswith("io.")}
    if isinstance(value, list):
        same = [steady(inner) for inner in value]
        return sorted(same, key=json.dumps) if name in ("attempts", "candidates") else same
    if name in MEASURED and value is not None:
        return "…"
    return _SECONDS.sub("… s", _ID.sub(r"\1_…", value)) if isinstance(value, str) else value


def shown(result: Any) -> dict[str, Any]:
    """A result as it is kept: text that is JSON is read, so that its changes can be read too."""
    (block,) = result.content
    wire = result.model_dump(by_alias=True, exclude_none=True)
    text = json.loads(block.text) if result.structured_content and not result.is_error else block.text
    return {
        "text": steady(text),
        "structured": steady(wire.get("structuredContent")),
        "isError": result.is_error,
        "_meta": steady(wire.get("_meta")) or None,
    }


@EITHER
@pytest.mark.parametrize("case", CASES)
async def test_a_response_is_the_one_that_was_reviewed(case: str, mode: str, tmp_path: Path, golden) -> None:
    name, arguments = CASES[case]
    async with client(tmp_path, mode) as session:
        result = await session.call_tool(name, arguments)
    golden(f"responses/{case}", shown(result))
    complete(result)


@pytest.mark.parametrize("case", PATIENT)
async def test_what_a_host_gets_whose_patience_ends_is_the_one_that_was_reviewed(
    case: str, tmp_path: Path, golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "SHORT_S", 0.0)
    name, arguments = PATIENT[case]
    async with client(tmp_path) as session:
        result = await session.call_tool(name, arguments)
    golden(f"responses/{case}", shown(result))
    complete(result)


def complete(result: Any) -> None:
    """Each form stands alone: whichever a host shows, nothing is missing that the other has."""
    (block,) = result.content
    assert block.text.endswith("\n")
    structured = result.structured_content
    if result.is_error:
        error = structured["error"]
        said = [error["message"], f"[{error['code']}]", error["hint"]]
        if error["next"]:
            said += [error["next"]["tool"], json.dumps(error["next"]["arguments"], ensure_ascii=False)]
        assert all(part in block.text for part in said)
        assert error["hint"], "every error says what to do"
    elif structured is not None:
        assert json.loads(block.text) == structured
        assert next(iter(structured)) in ("answer", "summary", "decision"), "what is read first stands first"


@EITHER
async def test_what_is_listed_is_what_was_reviewed(mode: str, tmp_path: Path, golden) -> None:
    async with client(tmp_path, mode) as session:
        lists = {
            "tools": (await session.list_tools()).tools,
            "prompts": (await session.list_prompts()).prompts,
            "resources": (await session.list_resources()).resources,
            "templates": (await session.list_resource_templates()).resource_templates,
        }
        golden("lists/instructions", session.instructions)
    for name, found in lists.items():
        golden(f"lists/{name}", [one.model_dump(by_alias=True, exclude_none=True, mode="json") for one in found])


def test_every_file_is_compared() -> None:
    known = {f"responses/{case}" for case in (*CASES, *PATIENT)}
    known |= {f"lists/{name}" for name in ("instructions", "tools", "prompts", "resources", "templates")}
    assert {file.relative_to(GOLDEN).with_suffix("").as_posix() for file in GOLDEN.rglob("*.json")} == known
