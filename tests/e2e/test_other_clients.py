"""Another client, unmodified, against `/v1`: pydantic-ai in an environment of its own (its pins are not ours)."""

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "server/http"))

from behind import behind

pytestmark = [pytest.mark.anyio, pytest.mark.soak]
CLIENT = """
import asyncio, json, sys
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=sys.argv[1], api_key="secret")

class Person(BaseModel):
    name: str
    age: int

async def main():
    found = {}
    for kind in (OpenAIChatModel, OpenAIResponsesModel):
        model = kind("one/fast", provider=provider)
        found[kind.__name__ + " chat"] = (await Agent(model).run("What is 17 + 25?")).output
        async with Agent(model).run_stream("What is 17 + 26?") as stream:
            found[kind.__name__ + " stream"] = [piece async for piece in stream.stream_text()][-1]
        person = await Agent(model, output_type=Person).run("Invent a person")
        found[kind.__name__ + " schema"] = person.output.model_dump()
        asked = []
        agent = Agent(model)

        @agent.tool_plain
        def weather(city: str) -> str:
            asked.append(city)
            return "sunny"

        await agent.run("Use weather for Rome")
        found[kind.__name__ + " tool"] = asked
    try:
        await Agent(OpenAIChatModel("nosuch", provider=provider)).run("Hi")
    except Exception as error:
        found["error"] = f"{type(error).__name__} {getattr(error, 'status_code', '')}"
    print(json.dumps(found))

asyncio.run(main())
"""


async def test_pydantic_ai_chats_streams_calls_tools_and_parses(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "pydantic-ai-slim[openai]"], check=True)
    (tmp_path / "client.py").write_text(CLIENT)
    async with behind(tmp_path) as here:
        done = await anyio.run_process([str(python), str(tmp_path / "client.py"), here.url], check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found = json.loads(done.stdout)
    for kind in ("OpenAIChatModel", "OpenAIResponsesModel"):
        assert "42" in found[f"{kind} chat"] and "43" in found[f"{kind} stream"]
        assert set(found[f"{kind} schema"]) == {"name", "age"}
        assert len(found[f"{kind} tool"]) == 1
    assert found["error"].endswith(" 404")
