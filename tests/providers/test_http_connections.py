"""Connections: reused when an answer was read to its end, closed at once when not, and never with a memory of their own."""

import anyio
import pytest
from anyio.abc import SocketStream

from providers.dialects import load
from providers.errors import ConnectFailed, ProviderError, ProxyRefused, TimedOut
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator.faults import DONE, GOOD, STOP, A
from providers.simulator.http11 import LAST_CHUNK, Head, chunk, document, read_request, start
from providers.simulator.listening import listening
from providers.types import Message, ModelCard, Request, Text

pytestmark = pytest.mark.anyio

QUESTION = Request((Message("user", (Text("hi"),)),))
SSE = start(200, "text/event-stream")


class Host:
    """A server that answers each request of a connection with `reply`, and counts connections and their ends."""

    def __init__(self, reply) -> None:
        self.reply, self.opened, self.heads = reply, 0, list[Head]()
        self.closed = anyio.Event()

    async def handle(self, stream: SocketStream) -> None:
        self.opened += 1
        buffer = bytearray()
        async with stream:
            try:
                while True:
                    head, _ = await read_request(stream, buffer)
                    self.heads.append(head)
                    await self.reply(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.closed.set()


def provider(http: Http, base: str, *, stream: bool = True, **more) -> HttpProvider:
    card = ModelCard("m", capabilities=frozenset({"streaming"} if stream else ()))
    return HttpProvider(
        http, load("openai_chat"), Route(base, **more.pop("route", {})), card=lambda _: card, key=lambda: "sk-1", **more
    )


async def drained(able: HttpProvider) -> str:
    async with able.open(QUESTION, "m") as answering:
        async for _ in answering:
            pass
        return answering.answer.text


async def endless(stream: SocketStream) -> None:
    await stream.send(SSE + chunk(A))
    while True:
        await stream.send(chunk(b": still here\n\n"))
        await anyio.sleep(0.01)


async def finished(stream: SocketStream) -> None:
    await stream.send(SSE + chunk(A) + chunk(STOP + DONE) + LAST_CHUNK)


async def test_twenty_answers_read_to_their_end_use_one_connection():
    host = Host(finished)
    async with listening(host.handle) as base, Http() as http:
        able = provider(http, base)
        assert [await drained(able) for _ in range(20)] == ["a"] * 20
    assert host.opened == 1


async def test_an_end_that_comes_a_moment_after_the_last_event_still_saves_the_connection():
    async def late(stream: SocketStream) -> None:
        await stream.send(SSE + chunk(A) + chunk(STOP + DONE))
        await anyio.sleep(0.002)
        await stream.send(LAST_CHUNK)

    host = Host(late)
    async with listening(host.handle) as base, Http() as http:
        able = provider(http, base)
        for _ in range(5):
            assert await drained(able) == "a"
    assert host.opened < 5  # a loaded machine may miss the moment, but not every time


@pytest.mark.parametrize("way", ["break", "error", "cancel"])
async def test_leaving_early_closes_the_connection_at_once(way):
    host = Host(endless)
    async with listening(host.handle) as base, Http() as http:
        able = provider(http, base)

        async def leave() -> None:
            async with able.open(QUESTION, "m") as answering:
                async for _ in answering:
                    if way == "break":
                        break
                    if way == "error":
                        raise KeyError("mine")
                    scope.cancel()

        with anyio.CancelScope() as scope:
            if way == "error":
                with pytest.raises(KeyError):
                    await leave()
            else:
                await leave()
        with anyio.fail_after(30):
            await host.closed.wait()


async def test_cancelling_before_the_head_closes_the_connection():
    async def silent(_: SocketStream) -> None:
        await anyio.sleep(0.01)

    host = Host(silent)
    async with listening(host.handle) as base, Http() as http:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(drained, provider(http, base))
                while not host.heads:
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            await host.closed.wait()


async def test_cookies_are_not_kept_and_only_our_headers_are_sent():
    async def sweet(stream: SocketStream) -> None:
        await stream.send(document(200, {**GOOD}, {"set-cookie": "id=7; path=/"}))

    host = Host(sweet)
    async with listening(host.handle) as base, Http() as http:
        able = provider(
            http, base.replace("127.0.0.1", "localhost"), stream=False, route={"headers": {"x-team": "core"}}
        )
        await drained(able)
        await drained(able)
    for head in host.heads:
        assert "cookie" not in head.headers
        assert head.headers["accept-encoding"] == "identity"
        assert head.headers["authorization"] == "Bearer sk-1"
        assert head.headers["x-team"] == "core"
        assert "aiohttp" not in head.headers["user-agent"]


async def test_a_stream_that_keeps_giving_content_outlives_the_idle_deadline():
    async def steady(stream: SocketStream) -> None:
        await stream.send(SSE)
        for _ in range(6):
            await anyio.sleep(0.1)
            await stream.send(chunk(A))
        await stream.send(chunk(STOP + DONE) + LAST_CHUNK)

    async with listening(Host(steady).handle) as base, Http() as http:
        assert await drained(provider(http, base, timeouts=Timeouts(idle=0.4))) == "aaaaaa"


async def test_time_the_caller_takes_does_not_count_as_silence():
    async with listening(Host(finished).handle) as base, Http() as http:
        async with provider(http, base, timeouts=Timeouts(idle=0.15)).open(QUESTION, "m") as answering:
            async for _ in answering:
                await anyio.sleep(0.3)
            assert answering.answer.finish_reason == "stop"


async def test_the_whole_has_a_deadline_of_its_own():
    async def drip(stream: SocketStream) -> None:
        await stream.send(SSE)
        while True:
            await stream.send(chunk(A))
            await anyio.sleep(0.02)

    async with listening(Host(drip).handle) as base, Http() as http:
        with pytest.raises(TimedOut, match="as a whole"), anyio.fail_after(30):
            await drained(provider(http, base, timeouts=Timeouts(idle=5, total=0.3)))


async def test_a_proxy_that_is_not_there_is_a_failed_connection():
    async with listening(Host(finished).handle) as base, Http() as http:
        async with listening(Host(finished).handle) as gone:
            pass
        with pytest.raises(ConnectFailed) as caught:
            await drained(provider(http, base, route={"proxy": gone}))
    assert caught.value.billed == "no" and "proxy that cannot be reached" in str(caught.value)


def proxy_wants(status: int) -> Host:
    """A proxy that lets nobody through without the password."""

    async def reply(stream: SocketStream) -> None:
        if host.heads[-1].headers.get("proxy-authorization") == "Basic YW5uOnNlY3JldA==":
            await finished(stream)
        else:
            asks = {"proxy-authenticate": 'Basic realm="office"'}
            await stream.send(document(status, {"error": "who are you?"}, asks))

    host = Host(reply)
    return host


@pytest.mark.parametrize(
    ("target", "status", "what"),
    [
        ("http://provider.invalid/v1", 407, "wants a user name and password"),
        ("https://provider.invalid/v1", 407, "wants a user name and password"),
        ("https://provider.invalid/v1", 403, "refuses to connect"),
    ],
)
async def test_a_proxy_that_refuses_is_said_to_be_the_proxy(target, status, what):
    host = proxy_wants(status)
    async with listening(host.handle) as gate, Http() as http:
        with pytest.raises(ProxyRefused, match=what) as caught:
            await drained(provider(http, target, route={"proxy": gate}))
    assert (caught.value.fault, caught.value.billed, caught.value.again, caught.value.elsewhere) == (
        "provider",
        "no",
        False,
        True,
    )
    assert caught.value.status == status and "invalid" not in str(caught.value)
    assert host.heads[0].method == ("CONNECT" if target.startswith("https") else "POST")


async def test_with_its_name_and_password_a_proxy_lets_through():
    host = proxy_wants(407)
    async with listening(host.handle) as gate, Http() as http:
        through = gate.replace("http://", "http://ann:secret@")
        assert await drained(provider(http, "http://provider.invalid/v1", route={"proxy": through})) == "a"
        with pytest.raises(ProviderError):  # let through, but there is no one behind it to shake hands with
            await drained(provider(http, "https://provider.invalid/v1", route={"proxy": through}))
    assert [head.method for head in host.heads] == ["POST", "CONNECT"]
    assert host.heads[0].headers["authorization"] == "Bearer sk-1" and "authorization" not in host.heads[1].headers
    assert host.heads[1].headers["proxy-authorization"] == host.heads[0].headers["proxy-authorization"]


@pytest.mark.parametrize(
    "base", ["ftp://127.0.0.1/v1", "http://", "nonsense", "http://[::1/v1", "http://127.0.0.1:99999"]
)
async def test_a_base_url_that_cannot_be_called_is_one_clear_error(base):
    async with Http() as http:
        with pytest.raises(ProviderError) as caught:
            await drained(provider(http, base))
    assert caught.value.billed == "no" and base not in str(caught.value)


async def test_two_hundred_calls_cancelled_at_random_leave_the_limit_whole():
    host = Host(endless)
    async with listening(host.handle) as base, Http(connections=10) as http:
        able = provider(http, base, timeouts=Timeouts(connect=10))
        async with anyio.create_task_group() as tasks:
            for index in range(200):
                tasks.start_soon(_cut_short, able, 0.001 * (index % 20))
        host.reply = finished
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(drained, able)


async def _cut_short(able: HttpProvider, after_s: float) -> None:
    with anyio.move_on_after(after_s):
        await drained(able)
