"""`plenum demo`: the main job, shown. A real MCP client talks over stdio to a real server on simulated providers.

One scene per capability that has landed: what the server does not offer is not shown. Scenes check what they tell, so
that a demo that ends well has worked.
"""

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

Say = Callable[[str], None]
WIDTH = 96


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing shown: needs these tools, runs, and answers what went wrong (nothing, as a rule)."""

    title: str
    needs: frozenset[str]
    play: Callable[[Client, Say], Awaitable[str]]


async def demonstrate(say: Say) -> Sequence[str]:
    """Play every scene that can be; answers the faults."""
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="plenum-demo-") as home:
        async with Client(_server(Path(home))) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            say(f"A real MCP client, a real server over stdio, simulated providers. Tools: {', '.join(tools)}.")
            for number, scene in enumerate((s for s in SCENES if s.needs <= set(tools)), 1):
                say(f"\n{number}. {scene.title}")
                if fault := await scene.play(client, say):
                    faults.append(f"{scene.title}: {fault}")
    return faults


def _server(home: Path) -> StdioServerParameters:
    paths = ":".join(path for path in sys.path if path)
    upstreams = _upstream(home, paths)
    environment = {"PLENUM_HOME": str(home), "PLENUM_LOG": "off", "PYTHONPATH": paths}
    arguments = ["-m", "server", "serve", "--demo", "--config", str(home / "demo.toml")]
    environment["PLENUM_CONTEXT_FILE"] = str(upstreams)
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment)


def _upstream(home: Path, paths: str) -> Path:
    """A file, a real MCP server that gives it away, and the configuration of that server."""
    (home / "notes.md").write_text(NOTES, "utf-8")
    (home / "demo.toml").write_text(f"[context.server.notes]\ntimeout_s = {WAIT_S}\n", "utf-8")
    entry = {"command": sys.executable, "args": ["-m", "server.notes", str(home / "notes.md")]}
    file = home / "upstreams.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {**entry, "env": {"PYTHONPATH": paths}}}}), "utf-8")
    return file


async def _call(client: Client, tool: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The text, the structure and the receipt of one call."""
    result = await client.call_tool(tool, dict(arguments))
    text = "\n".join(getattr(block, "text", "") for block in result.content)
    receipt = (result.meta or {}).get("plenum/receipt", {})
    return text, dict(result.structured_content or {}), receipt


async def _routed(client: Client, say: Say) -> str:
    text, _, receipt = await _call(client, "generate", {"prompt": "What is 17 + 25?", "strategy": "cost"})
    say(f"   generate(prompt='What is 17 + 25?', strategy='cost')\n   → {_short(text)}")
    say(f"   why: {_short(receipt.get('reasoning', ''))}")
    return "" if "42" in text and receipt.get("simulated") else "no labelled answer came"


async def _failover(client: Client, say: Say) -> str:
    text, _, receipt = await _call(client, "generate", {"prompt": "Name the capital of France.", "model": "relay"})
    attempts = receipt.get("attempts", [])
    say("   the first provider dies after ten tokens of its answer; nobody sees that:")
    for attempt in attempts:
        say(f"   · {attempt['provider']}/{attempt['model']}: {attempt['outcome']}")
    say(f"   → {_short(text)}")
    good = [a["outcome"] for a in attempts][-1:] == ["ok"] and len(attempts) == 2
    return "" if good else "the broken stream was not replaced"


async def _explained(client: Client, say: Say) -> str:
    _, found, _ = await _call(client, "generate", {"prompt": "Prove that 2 is prime.", "explain": True})
    names = [candidate.get("model", candidate) for candidate in found.get("candidates", [])]
    say(f"   generate(…, explain=true) calls nobody and says who would be asked: {names[:4]}")
    return "" if names else "no candidates were named"


async def _listed(client: Client, say: Say) -> str:
    _, found, _ = await _call(client, "list_models", {"limit": 3})
    for model in found.get("models", []):
        say(f"   · {model['id']}: {model['status']}, window {model['context_window']}")
    return "" if found.get("models") else "no model was listed"


async def _fused(client: Client, say: Say) -> str:
    arguments = {"prompt": "What is 17 + 25?", "answer": "number", "effort": "thorough", "models": list(PANEL)}
    _, found, _ = await _call(client, "fuse", arguments)
    sure = found.get("confidence", {}).get("value")
    say(f"   fuse('What is 17 + 25?', models: {', '.join(PANEL)})")
    say(
        f"   → {found.get('answer')} ({found.get('status')}), confidence {'unknown' if sure is None else f'{sure:.2f}'}"
    )
    for voice in found.get("dissent", []):
        say(f"   · dissent: {', '.join(voice['models'])} said {voice['answer']}")
    return "" if found.get("answer") and found.get("dissent") else "no fused answer with dissent came"


async def _informed(client: Client, say: Say) -> str:
    question = {"prompt": "When does Heron ship?", "model": "sim/echo", "context": ["notes"]}
    text, _, receipt = await _call(client, "generate", question)
    say(
        "   another MCP server, started by Plenum, has a file; generate(prompt='When does Heron ship?', context=['notes'])"
    )
    said = next((line for line in text.splitlines() if "Heron" in line), "")
    say(f"   → … {_short(said)}")
    for used in receipt.get("context", []):
        say(f"   · from {used['server']}: {', '.join(used['resources'])}, {used['tokens']} tokens, fenced as data")
    return "" if "3 December" in text and receipt.get("context") else "the file did not come into the prompt"


async def _paid(client: Client, say: Say) -> str:
    _, found, _ = await _call(client, "costs", {"period": "today"})
    say(f"   {_short(found.get('summary', ''))}")
    for budget in found.get("budgets", []):
        say(f"   · {budget['scope']} {budget['period']}: ${budget['spent_usd']:.6f} of ${budget['limit_usd']:.2f}")
    return "" if found.get("calls", 0) > 0 else "nothing was booked"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


NOTES = "# Release notes\n\nHeron ships on 3 December. Its release manager is Ines.\n"
WAIT_S = 60  # for a program that starts on a busy machine
PANEL = ("sim/fast", "sim/smart", "sim/dissenter")
SCENES = (
    Scene("A routed answer, with the reason for the choice", frozenset({"generate"}), _routed),
    Scene("A provider dies in mid-answer and is replaced", frozenset({"generate"}), _failover),
    Scene("A decision explained before anything is spent", frozenset({"generate"}), _explained),
    Scene("What can be asked", frozenset({"list_models"}), _listed),
    Scene("Several models, one answer, the dissent shown", frozenset({"fuse"}), _fused),
    Scene("What another MCP server knows, in the prompt", frozenset({"generate"}), _informed),
    Scene("What it cost (simulated prices), and what is left", frozenset({"costs"}), _paid),
)
