"""HttpProvider against the simulator over real HTTP: answers, headers, keys, connections, deadlines, leaving early."""

import anyio
import pytest

from providers.dialects import Call, load
from providers.errors import AuthenticationFailed, ConnectFailed, ProviderError, RateLimited, TimedOut
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator import Conduct, Scenario, parse_fault, serve
from providers.types import Embedder, Lister, Message, ModelCard, Provider, Request, Text, TokenCounter

pytestmark = pytest.mark.anyio

QUESTION = Request((Message("user", (Text("What is 2+2?"),)),))


def provider(http: Http, base: str, *, stream: bool = True, **more) -> HttpProvider:
    capabilities = frozenset({"streaming"}) if stream else frozenset()
    return HttpProvider(
        http,
        load("openai_chat"),
        more.pop("route", None) or Route(f"{base}/openai/v1"),
        card=lambda model: ModelCard(model, capabilities=capabilities),
        **more,
    )


async def asked(provider: Provider, model: str = "fast"):
    async with provider.open(QUESTION, model) as stream:
        deltas = [delta async for delta in stream]
        return stream.answer, deltas


async def failed(provider: Provider, model: str = "fast") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await asked(provider, model)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def doing(*script: str, **more) -> Scenario:
    return Scenario(models={"*": Conduct(script=tuple(map(parse_fault, script)), repeat=True, **more)})


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_comes_back_whole_or_streamed(stream):
    async with serve() as url, Http() as http:
        answer, deltas = await asked(provider(http, url, stream=stream))
    assert (
        answer.text == "".join(delta.text for delta in deltas if delta.kind == "text") == "[simulated] The answer is 4."
    )
    assert (answer.finish_reason, answer.model_returned, answer.simulated) == ("stop", "fast", True)
    assert answer.usage.output == 6
    assert (len(deltas) > 1) is stream


async def test_a_rotated_key_is_used_by_the_next_call_and_stays_in_a_header():
    async with serve() as url, Http() as http:
        keys = iter(["sk-one", "sk-two"])
        seen = []
        gate = provider(http, url, key=lambda: seen.append(next(keys)) or seen[-1])
        await asked(gate)
        await asked(gate)
    assert seen == ["sk-one", "sk-two"]


async def test_what_is_prepared_for_a_path_is_used_again_bounded_and_forgotten_with_its_key():
    prepared = []

    class Preparing:
        def form(self, method, url, headers, connect_s):
            prepared.append((method, url, headers["authorization"], headers.get("content-type")))
            return prepared[-1]

    async with Http() as http:
        keys = ["one"]
        gate = provider(http, "https://me.example", key=lambda: keys[-1])
        asked, listed = Call("/chat", {}), Call("/models", method="GET")
        for call in (asked, listed, asked, listed):
            gate._form(Preparing(), call)
        base = "https://me.example/openai/v1"
        assert prepared == [
            ("POST", f"{base}/chat", "Bearer one", "application/json"),
            ("GET", f"{base}/models", "Bearer one", None),
        ]
        keys.append("two")
        gate._form(Preparing(), asked)
        assert prepared[-1][2] == "Bearer two" and "one" not in str(gate._forms)
        for number in range(200):
            gate._form(Preparing(), Call(f"/batches/{number}", method="GET"))
        assert len(gate._forms) <= 64


async def test_a_header_named_for_the_key_takes_it_in_place_of_the_dialects():
    async with Http() as http:
        route = Route("https://me.example/openai/v1", key_header="api-key")
        for key, sent in (("k", {"api-key": "k"}), ("eyJ0.eyJ1.c2ln", {"authorization": "Bearer eyJ0.eyJ1.c2ln"})):
            assert {name.lower(): value for name, value in provider(http, "", route=route)._signed(key).items()} == sent


async def test_abilities_are_there_only_where_the_dialect_has_them():
    async with serve() as url, Http() as http:
        able = provider(http, url)
        assert isinstance(able, Embedder) and isinstance(able, Lister)
        assert isinstance(able, TokenCounter) is hasattr(able.dialect, "render_count")
        assert "fast" in {each.id for each in await able.models()}
        vectors = (await able.embed(["a b", "a b", "c"], "embed")).vectors
        assert vectors[0] == vectors[1] != vectors[2]


async def test_a_dead_port_is_a_failed_connection_that_costs_nothing():
    async with serve() as url:
        pass
    async with Http() as http:
        error = await failed(provider(http, url))
    assert isinstance(error, ConnectFailed) and error.billed == "no"


async def test_a_header_that_http_does_not_allow_is_one_clear_error():
    async with serve() as url, Http() as http:
        error = await failed(provider(http, url, key=lambda: "sk-\r\nevil: 1"))
    assert isinstance(error, ConnectFailed | AuthenticationFailed) and "sk-" not in str(error)


async def test_a_limit_says_how_long_to_wait():
    async with serve(doing("retry_after:7")) as url, Http() as http:
        error = await failed(provider(http, url))
    assert isinstance(error, RateLimited) and error.after == 7


@pytest.mark.parametrize("stream", [True, False])
async def test_silence_before_the_answer_ends_at_the_deadline(stream):
    async with serve(doing("hang")) as url, Http() as http:
        with anyio.fail_after(30):
            error = await failed(provider(http, url, stream=stream, timeouts=Timeouts(idle=0.2)))
    assert isinstance(error, TimedOut) and error.billed == "unknown"


async def test_a_stream_that_falls_silent_ends_at_the_deadline_and_keeps_its_text():
    async with serve(doing("stall_stream")) as url, Http() as http:
        slow = provider(http, url, timeouts=Timeouts(idle=0.2))
        with anyio.fail_after(30):
            async with slow.open(QUESTION, "fast") as stream:
                with pytest.raises(TimedOut):
                    async for _ in stream:
                        pass
                assert stream.answer.text.startswith("[simulated]")
                assert stream.answer.finish_reason is None


async def test_an_engine_that_is_not_open_says_how_to_open_it():
    with pytest.raises(RuntimeError, match="async with Http"):
        await asked(provider(Http(), "http://127.0.0.1:1"))
