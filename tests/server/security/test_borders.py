"""Who comes in over HTTP, what each may, what it may spend, and whose key is used: through the real server."""

import json
import time
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import anyio
import pytest

from providers.types import Message, Request, Text
from routing.errors import BudgetExceeded, Limited
from routing.store.tokens import Token
from routing.types import Ask
from server.security.evidence import happening
from server.security.tokens import digest, fresh
from tests.server.http.wire import ask, modern
from tests.server.security.homes import home

pytestmark = pytest.mark.anyio


async def granted(app, name: str = "ann", **more) -> str:
    secret = fresh()
    assert await app.store.tokens.put(Token(name, digest(secret), created=time.time(), **more)).wait()
    return secret


async def test_a_virtual_key_opens_and_its_name_is_the_caller(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        token = await granted(house.app)
        status, body = await house.post(*ask(model="one/fast"), token=token)
        assert status == 200 and b"[simulated]" in body
        lines = await house.app.store.books.lines(0, 1e12)
        assert [line.caller for line in lines] == ["ann"]


@pytest.mark.parametrize("token", ["", "wrong", "plenum_" + "x" * 43, "secret ", "Secret"])
async def test_nobody_elses_token_opens(tmp_path: Path, token: str) -> None:
    async with home(tmp_path) as house:
        await granted(house.app)
        status, _ = await house.post(*ask(), token=token)
        assert status == (200 if token.strip() == "secret" else 401)


async def test_a_revoked_and_an_expired_token_end_at_once(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        token, old = await granted(house.app), await granted(house.app, "old", expires=time.time() - 1)
        assert (await house.post(*modern("tools/list"), token=token))[0] == 200
        await house.app.store.tokens.revoke("ann", time.time()).wait()
        assert (await house.post(*modern("tools/list"), token=token))[0] == 401
        assert (await house.post(*modern("tools/list"), token=old))[0] == 401


async def test_a_token_is_stored_as_a_hash_only(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        token = await granted(house.app)
    assert token.encode() not in b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())


@pytest.mark.parametrize(
    ("scopes", "generate", "listing", "v1"),
    [
        (("read",), 403, 200, 403),
        (("generate",), 200, 200, 200),
        (("admin",), 200, 200, 200),
        (("none",), 403, 403, 403),
        ((), 200, 200, 200),
    ],
)
async def test_scopes_reach_as_far_as_they_say(tmp_path: Path, scopes, generate, listing, v1) -> None:
    async with home(tmp_path) as house:
        token = await granted(house.app, scopes=scopes)
        assert (await house.post(*ask(model="one/fast"), token=token))[0] == generate
        assert (await house.post(*modern("tools/list"), token=token))[0] == listing
        chat = json.dumps({"model": "one/fast", "messages": [{"role": "user", "content": "hi"}]}).encode()
        assert (await house.post(chat, token=token, path="/v1/chat/completions"))[0] == v1


async def test_a_refused_scope_names_the_scope_that_is_needed(tmp_path: Path) -> None:
    from tests.server.http.wire import send

    async with home(tmp_path) as house:
        token, (body, headers) = await granted(house.app, scopes=("read",)), ask()
        every = {
            **headers,
            "Host": f"127.0.0.1:{house.port}",
            "Authorization": f"Bearer {token}",
            "Connection": "close",
        }
        every |= {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        lines = "".join(f"{k}: {v}\r\n" for k, v in {**every, "Content-Length": len(body)}.items())
        answer = await send(house.port, f"POST /mcp HTTP/1.1\r\n{lines}\r\n".encode(), body)
        assert b" 403 " in answer and b'error="insufficient_scope", scope="generate"' in answer


async def test_a_callers_models_are_the_only_ones_it_gets(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        token = await granted(house.app, models=("one/fa*",))
        refused = (await house.post(*ask(model="one/smart"), token=token))[1]
        assert b"token does not allow it" in refused and b'"isError":true' in refused
        assert b"one/fast" in (await house.post(*ask(model="auto"), token=token))[1]
        explained = (await house.post(*ask(model="auto", explain=True), token=token))[1]
        assert b'"model": "one/smart"' not in explained.replace(b'\\"', b'"').partition(b'"excluded"')[0]


async def test_a_callers_budget_and_rate_hold_for_it_alone(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        await house.app.manager.generate(plain("warm up", "owner"))
        await granted(house.app, "ann", daily_usd=0.00005)
        await granted(house.app, "bob", rpm=2)
        with anyio.fail_after(60), pytest.raises(BudgetExceeded, match="ann"):
            for number in count():  # a new token's limits hold within a second
                await house.app.manager.generate(plain(f"question {number}", "ann"))
                await anyio.sleep(0.05)
        await house.app.manager.generate(plain("one", "bob"))
        await house.app.manager.generate(plain("two", "bob"))
        with pytest.raises(Limited) as caught:
            await house.app.manager.generate(plain("three", "bob"))
        assert 0 < caught.value.after <= 60
        assert (await house.app.manager.generate(plain("me", "carl"))).answer.text


async def test_a_question_asked_again_and_again_is_remarked_upon(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        borders = house.app.security.steps[0]
        borders.clock = lambda: 1_800_000_000.0  # a minute that does not end while a loaded machine asks
        for number in range(22):
            result = await house.app.manager.generate(
                plain("again", "eve", key="k", cache="off", request_id=f"r{number}")
            )
    assert any("loop" in warning for warning in result.receipt.warnings)


def plain(prompt: str, caller: str, **more) -> Ask:
    request = Request((Message("user", (Text(prompt),)),), max_tokens=16)
    return Ask(request, model="one/fast", caller=caller, **more)


@asynccontextmanager
async def keyed_provider(good: str):
    """Speaks OpenAI chat to whoever brings the right key, and remembers every key it saw."""
    import asyncio

    seen: list[str] = []

    async def handle(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        await reader.readexactly(length)
        sent = [line.split(" ", 2)[2] for line in head.split("\r\n") if line.lower().startswith("authorization")]
        key = sent[0] if sent else ""
        seen.append(key)
        message = {"role": "assistant", "content": f"your key is {key}"}
        whole = {"id": "1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {}}
        ok = key == good
        body = json.dumps(whole if ok else {"error": {"message": f"bad key {key}", "code": "invalid_api_key"}}).encode()
        status = "200 OK" if ok else "401 Unauthorized"
        lines = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        )
        writer.write(f"{lines}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen


PERSONAL = """
[providers.personal]
dialect = "openai_chat"
base_url = "{url}"
api_key_env = "PERSONAL_KEY"
[[providers.personal.models]]
id = "m"
context_window = 32000
price = {{ input = 1.0, output = 2.0 }}
"""


async def test_a_brought_key_is_used_for_its_request_alone_and_kept_nowhere(tmp_path: Path) -> None:
    brought = "canary-brought-key-0123456789"
    async with keyed_provider(brought) as (url, seen), home(tmp_path, PERSONAL.format(url=url)) as house:
        own = {"X-Plenum-Key": f"personal={brought}"}
        status, answer = await house.post(*_with(ask(model="personal/m"), own))
        assert status == 200 and seen == [brought] and b"your key is" in answer
        assert brought.encode() not in answer
        _, without = await house.post(*ask("Another", model="personal/m"))
        assert b"your key is" not in without and set(seen[1:]) == {""}
        wrong = {"X-Plenum-Key": "personal=canary-wrong-key-0123456789"}
        _, refused = await house.post(*_with(ask("Third", model="personal/m"), wrong))
        assert b"isError" in refused and b"canary" not in refused
        status, again = await house.post(*_with(ask("Fourth", model="personal/m"), own))
        assert b"your key is" in again  # one caller's wrong key closed nothing for the right one
    assert b"canary-brought" not in b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())


@pytest.mark.parametrize("header", ["nonsense", "=x", "p=", "p=a b"])
async def test_a_malformed_brought_key_is_refused(tmp_path: Path, header: str) -> None:
    async with home(tmp_path) as house:
        assert (await house.post(*_with(ask(), {"X-Plenum-Key": header})))[0] == 400


async def test_an_unauthenticated_caller_cannot_bring_a_key(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        status, _ = await house.post(*_with(ask(), {"X-Plenum-Key": "one=k"}), token="nobody")
        assert status == 401


async def test_the_inbound_token_never_leaves(tmp_path: Path) -> None:
    async with keyed_provider("canary-of-the-provider") as (url, seen):
        async with home(tmp_path, PERSONAL.format(url=url), PERSONAL_KEY="canary-of-the-provider") as house:
            token = await granted(house.app)
            assert (await house.post(*ask(model="personal/m"), token=token))[0] == 200
    assert seen == ["canary-of-the-provider"]


async def test_a_rotated_key_that_is_refused_gives_way_to_the_one_before(tmp_path: Path) -> None:
    from server.security.keys import vault

    async with keyed_provider("old-key-0123456789") as (url, seen), home(tmp_path, PERSONAL.format(url=url)) as house:
        safe, place = vault(house.world.load()), url.removesuffix("/v1")
        safe.set("personal", place, "old-key-0123456789")
        safe.rotate("personal", place, "new-key-0123456789")
        with anyio.fail_after(60):
            for number in range(100):  # the vault is seen within a second, the refusal within another
                _, answer = await house.post(*ask(f"Question {number}", model="personal/m"))
                if b"your key is" in answer:
                    break
                await anyio.sleep(0.2)
        assert [key for key in dict.fromkeys(seen) if key] == ["new-key-0123456789", "old-key-0123456789"]
        await house.app.store.audit.append(happening("test", "end", "of test")).wait()
        assert "key refused" in {line.happening.what for line in await house.app.store.audit.lines()}


async def test_a_budget_that_lapses_with_its_token_no_longer_holds(tmp_path: Path) -> None:
    async with home(tmp_path) as house:
        await granted(house.app, "ann", daily_usd=0.0)
        await house.app.manager.generate(plain("warm up", "owner"))
        with anyio.fail_after(60), pytest.raises(BudgetExceeded):
            for number in count():
                await house.app.manager.generate(plain(f"a {number}", "ann"))
                await anyio.sleep(0.1)
        await house.app.store.tokens.revoke("ann", time.time()).wait()
        answered = None
        with anyio.fail_after(60):
            while answered is None:
                with suppress(BudgetExceeded):
                    answered = await house.app.manager.generate(plain("b", "ann"))
                await anyio.sleep(0.1)


def _with(request: tuple[bytes, dict[str, str]], headers: dict[str, str]):
    body, own = request
    return body, {**own, **headers}
