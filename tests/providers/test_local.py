"""In-process models: a random-weight GGUF, loaded and asked for real. Skipped where the extra `local` is absent."""

import sys
from pathlib import Path

import anyio
import pytest

pytest.importorskip("xllamacpp", reason="the extra `local` is not installed")
pytest.importorskip("gguf", reason="gguf writes the test's model")
sys.path.insert(0, str(Path(__file__).parent))

from tiny_gguf import make

from providers.errors import ContextTooLong, ModelNotFound
from providers.local import LocalModels
from providers.types import Message, ModelCard, Provider, Request, Text

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    return make(tmp_path_factory.mktemp("gguf") / "secret-place.gguf")


def card(model):
    return ModelCard(model, context_window=512, capabilities=frozenset({"streaming", "sampling", "tools", "json"}))


def engine(path, **more):
    return LocalModels({"tiny": str(path)}, card, threads=1, **more)


def asking(text="hi", **more):
    return Request((Message("user", (Text(text),)),), **{"max_tokens": 12, "seed": 1, **more})


async def whole(provider, request, model="tiny"):
    async with provider.open(request, model) as stream:
        pieces = [delta.text async for delta in stream]
        return "".join(pieces), stream.answer


async def test_it_answers_streamed_and_counts_its_tokens(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file) as provider:
            assert isinstance(provider, Provider)
            text, answer = await whole(provider, asking())
    assert answer.finish_reason == "length"
    assert text == answer.text
    assert (answer.usage.output, answer.usage_seen) == (12, True)
    assert answer.usage.input > 0


async def test_it_never_tells_the_path_of_its_file(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file) as provider:
            _, answer = await whole(provider, asking())
    assert answer.model_returned == "tiny"
    assert "secret-place" not in repr(answer)


async def test_several_are_answered_at_once_and_the_rest_wait(gguf_file):
    answers = []

    async def one(provider):
        answers.append(await whole(provider, asking()))

    with anyio.fail_after(60):
        async with engine(gguf_file) as provider, anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(one, provider)
    assert [answer.usage.output for _, answer in answers] == [12] * 5


async def test_leaving_early_stops_the_model_and_it_answers_again(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file, slots=1) as provider:
            async with provider.open(asking(max_tokens=400), "tiny") as stream:
                async for _ in stream:
                    break
            _, answer = await whole(provider, asking())
    assert answer.usage.output == 12


async def test_a_cancelled_call_gives_its_slot_back(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file, slots=1) as provider:
            await whole(provider, asking(max_tokens=1))
            with anyio.move_on_after(0.05):
                await whole(provider, asking(max_tokens=450))
            _, answer = await whole(provider, asking())
    assert answer.finish_reason == "length"


async def test_a_prompt_above_the_window_is_too_long(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file) as provider:
            with pytest.raises(ContextTooLong):
                await whole(provider, asking("word " * 2000))


async def test_a_file_that_is_no_model_is_not_found_and_not_named(tmp_path):
    broken = tmp_path / "private.gguf"
    broken.write_bytes(b"GGUF but not really")
    with anyio.fail_after(60):
        async with engine(broken) as provider:
            with pytest.raises(ModelNotFound) as told:
                await whole(provider, asking())
    assert "private" not in str(told.value)
    assert told.value.__cause__ is None


async def test_an_id_without_a_file_is_not_found(gguf_file):
    async with engine(gguf_file) as provider:
        with pytest.raises(ModelNotFound):
            await whole(provider, asking(), "other")


async def test_its_port_answers_nobody_without_the_key(gguf_file):
    with anyio.fail_after(60):
        async with engine(gguf_file) as provider:
            await whole(provider, asking(max_tokens=1))
            host, port = provider._servers["tiny"].listening_address.removeprefix("http://").split(":")
            assert host == "127.0.0.1"
            async with await anyio.connect_tcp(host, int(port)) as wire:
                body = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}'
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
                await wire.send(head.encode() + body)
                assert b" 401 " in (await wire.receive()).splitlines()[0]
