"""The doors of `/v1` as raw HTTP meets them: hang-ups, hostile bodies, statuses, many streams at once."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from behind import behind
from wire import post, send, status

from providers.errors import ContentRefused, RateLimited
from providers.simulator import Conduct, Scenario, parse_fault
from providers.types import Answer, ToolCall
from routing import errors
from server.http.openai.calls import Calls
from server.http.openai.completion import finish
from server.http.openai.faults import fault

pytestmark = pytest.mark.anyio
SLOW = Scenario(models={"*": Conduct(tokens_per_s=20)})


def chat(prompt: str = "Tell me about rivers.", **more) -> dict:
    return {"model": "one/fast", "messages": [{"role": "user", "content": prompt}], **more}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_hangs_up_stops_the_call_and_what_it_cost_is_settled(tmp_path: Path, stream: bool) -> None:
    body = json.dumps(chat("word " * 200, stream=stream)).encode()
    async with behind(tmp_path, SLOW) as here:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{here.port}\r\nAuthorization: Bearer secret\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with anyio.fail_after(20):
            async with await anyio.connect_tcp("127.0.0.1", here.port) as wire:
                await wire.send(head.encode() + body)
                if stream:
                    assert (await wire.receive()).startswith(b"HTTP/1.1 200")
                else:
                    while not await here.log():
                        await anyio.sleep(0.02)
            budgets = []
            while not budgets or any(row.reserved_usd for row in budgets):
                budgets = await here.app.costs.budgets()
                await anyio.sleep(0.02)
            while here.app.admission.view().running:
                await anyio.sleep(0.02)
    assert any(row.spent_usd > 0 for row in budgets)


HOSTILE = {
    "no JSON": (b"{", 400),
    "a list": (b"[]", 400),
    "half of a pair": (b'{"model":"\\ud800","messages":[{"role":"user","content":"x"}]}', 400),
    "NaN": (b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}', 400),
    "deep": (b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
    "a part nobody has": (b'{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}', 400),
    "a picture off the web's own rules": (
        b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}',
        400,
    ),
    "a schema that is none": (
        json.dumps(
            chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}})
        ).encode(),
        400,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_bodies_get_an_error_in_openais_form_and_never_an_echo(tmp_path: Path, name: str) -> None:
    body, expected = HOSTILE[name]
    async with behind(tmp_path) as here:
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/embeddings"):
            found, text = await post(here.port, body, path=path)
            error = json.loads(text)["error"]
            assert found == (expected if path.endswith("completions") else found) and 400 <= found < 500
            assert set(error) >= {"message", "type", "param", "code"} and "passwd" not in error["message"]
        assert not await here.log()


TOLD = {
    "messages.0.content.0` needs a `type` that is one of 'text', 'image_url'": (
        "chat/completions",
        "a part nobody has",
    ),
    "plenum.stratgy` is not known (did you mean `strategy`?)": ("chat/completions", "a typo in our extension"),
    "input.0.type` should be 'function_call' or ": ("responses", "an item nobody has"),
    "input.0` should be a valid string": ("embeddings", "tokens"),
}
BODIES = {
    "a part nobody has": HOSTILE["a part nobody has"][0],
    "a typo in our extension": b'{"messages":[{"role":"user","content":"x"}],"plenum":{"stratgy":"cost"}}',
    "an item nobody has": b'{"input":[{"type":"foo"}]}',
    "tokens": b'{"model":"one/embed","input":[1,2]}',
}


async def test_a_fault_of_a_body_is_named_where_it_stands_and_in_no_frameworks_words(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        for told, (path, name) in TOLD.items():
            found, text = await post(here.port, BODIES[name], path=f"/v1/{path}")
            message = json.loads(text)["error"]["message"]
            assert found == 400 and told in message and "[" not in message, name


async def test_what_is_not_served_is_said_in_the_form_of_every_other_error(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        head = f"Host: 127.0.0.1:{here.port}\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n".encode()
        for line, number, told in (
            (b"GET /v1/files HTTP/1.1\r\n", 404, "Nothing is served at this path. There are /mcp, "),
            (b"DELETE /v1/models HTTP/1.1\r\n", 405, "This path does not take DELETE, but "),
        ):
            answer = await send(here.port, line + head)
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert (status(answer), error["code"]) == (number, number) and error["message"].startswith(told)


async def test_a_models_name_is_told_as_it_is_written(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        body = json.dumps({**chat(), "model": "sim/fsat"}).encode()
        found, text = await post(here.port, body, path="/v1/chat/completions")
    assert found == 404 and json.loads(text)["error"]["message"].startswith(
        "sim has no model 'fsat'. Did you mean sim/fast"
    )


async def test_a_legacy_clients_broken_message_is_not_answered_with_what_it_sent(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        found, text = await post(here.port, b'{"jsonrpc":"1.0","canary":"canary"}')
    assert found == 400 and b"canary" not in text and b"pydantic" not in text
    assert json.loads(text)["error"]["code"] == -32600


async def test_only_posts_are_taken_and_bodies_are_bounded(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        head = f"Host: 127.0.0.1:{here.port}\r\nAuthorization: Bearer secret\r\nConnection: close\r\n\r\n".encode()
        assert status(await send(here.port, b"GET /v1/chat/completions HTTP/1.1\r\n" + head)) == 405
        assert (await post(here.port, b"x" * (33 << 20), path="/v1/chat/completions"))[0] == 413


async def test_an_idempotency_key_makes_a_repeat_free(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        asked = chat("again?", temperature=1)
        first = await here.post("/chat/completions", asked, **{"Idempotency-Key": "k-1"})
        again = await here.post("/chat/completions", asked, **{"Idempotency-Key": "k-1"})
        fresh = await here.post("/chat/completions", asked)
        other = await here.post("/chat/completions", chat("else"), **{"Idempotency-Key": "k-1"})
        assert len(await here.log()) == 2
    assert first.json()["choices"] == again.json()["choices"]
    assert (fresh.status_code, other.status_code) == (200, 400)


async def test_a_repeat_is_one_of_the_callers_own_words_not_of_what_is_left_of_them(tmp_path: Path) -> None:
    plain, hidden = (
        chat("What is 17 + 25?"),
        chat("What is\u200b 17 + 25?"),
    )  # what nobody sees is taken out of a prompt
    async with behind(tmp_path) as here:
        first = await here.post("/chat/completions", hidden, **{"Idempotency-Key": "k-1"})
        again = await here.post("/chat/completions", hidden, **{"Idempotency-Key": "k-1"})
        other = await here.post("/chat/completions", plain, **{"Idempotency-Key": "k-1"})
    assert first.json()["choices"] == again.json()["choices"]
    assert first.headers["x-plenum-receipt"] == again.headers["x-plenum-receipt"]
    assert other.status_code == 400 and "other arguments" in other.text


async def test_two_hundred_streams_at_once_all_end_well(tmp_path: Path) -> None:
    ended = []
    async with behind(tmp_path, Scenario(models={"*": Conduct(latency_s=0.2)})) as here:

        async def one(number: int) -> None:
            body = json.dumps(chat(f"What is {number} + 1?", stream=True)).encode()
            _, text = await post(here.port, body, path="/v1/chat/completions", patience=60)
            ended.append(str(number + 1).encode() in text and b"[DONE]" in text)

        with anyio.fail_after(90):
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(one, number)
    assert ended == [True] * 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("fault", ["no_finish", "cut_stream", "bad_chunk"])
async def test_a_stream_that_breaks_ends_with_an_error_event_and_never_as_if_it_were_whole(
    tmp_path: Path, path: str, fault: str
) -> None:
    scenario = Scenario(models={"*": Conduct(script=(parse_fault(fault),), repeat=True)})
    asked = chat("Tell me about rivers.", stream=True)
    if path.endswith("responses"):
        asked["input"] = asked.pop("messages")[0]["content"]
    async with behind(tmp_path, scenario) as here:
        found, text = await post(here.port, json.dumps(asked).encode(), path=path, patience=60)
    events = text.decode()
    assert found == 200 and '"error"' in events
    for end in ("[DONE]", '"finish_reason":"', "response.completed", "response.incomplete"):
        assert end not in events


@pytest.mark.parametrize("reason", [None, "paused", "error", "context_length", "length"])
def test_an_answer_that_does_not_say_it_is_whole_is_called_cut(reason) -> None:
    assert finish(Answer("x", finish_reason=reason)) == "length"


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "content_filter"])
def test_what_the_provider_said_of_the_end_is_passed_on(reason) -> None:
    assert finish(Answer("x", finish_reason=reason)) == reason


STATUSES = {
    errors.BudgetExceeded: 429,
    errors.Limited: 429,
    errors.KeyRefused: 502,
    errors.Refused: 400,
    errors.ProvidersFailed: 502,
    errors.DeadlinePassed: 504,
    errors.PolicyForbids: 403,
    errors.Misconfigured: 503,
    errors.PromptTooLong: 400,
    errors.Cancelled: 503,
}


@pytest.mark.parametrize("kind", STATUSES)
async def test_each_refusal_has_the_status_its_clients_handle_best(kind) -> None:
    told = fault(kind("why not", hint="do this", after=2.4))
    headers = dict(told.headers)
    assert told.status == STATUSES[kind]
    assert told.body["error"]["message"] == "Why not. Do this."
    assert (b"x-should-retry" in headers) == (told.status >= 429 and not kind.retryable)
    assert headers.get(b"retry-after") == (b"3" if told.status >= 429 else None)


async def test_what_nobody_foresaw_is_told_without_its_words() -> None:
    told = fault(ValueError("sk-secret"))
    assert told.status == 500 and "secret" not in json.dumps(told.body)
    assert RateLimited.kind != ContentRefused.kind


def grown(pieces: list[str]) -> list[str]:
    """What a reader puts together of a call whose arguments came in these pieces."""
    calls, text, told = Calls(), "", []
    for piece in pieces:
        text += piece
        answer = Answer(tool_calls=(ToolCall("c1", "f", text),))
        told += [g.piece for g in calls.grown(len(piece), lambda answer=answer: answer)]
    return told + [g.piece for g in calls.rest((ToolCall("c1", "f", text),))]


async def test_arguments_in_any_pieces_are_told_once_and_whole() -> None:
    pieces = [*'{"city": "', *("Rome " * 400), '"}']
    told = grown(pieces)
    assert "".join(told) == "".join(pieces)
    assert len(told) < len(pieces), "a look at the answer is not made for every letter"


async def test_half_a_pair_waits_for_the_other_half_and_an_empty_call_is_an_object() -> None:
    calls = Calls()
    half, whole = ToolCall("c1", "f", '{"a":"\ufffd'), ToolCall("c1", "f", '{"a":"😀"}')
    first = calls.grown(6, lambda: Answer(tool_calls=(half,)))
    assert first[0].piece + calls.rest((whole,))[0].piece == whole.arguments
    assert Calls().rest((replace(whole, arguments=""),))[0].piece == "{}"


async def test_readiness_does_not_count_the_simulator(tmp_path: Path) -> None:
    async with behind(tmp_path) as here:
        ours = f"Host: 127.0.0.1:{here.port}\r\nConnection: close\r\n\r\n".encode()
        assert status(await send(here.port, b"GET /readyz HTTP/1.1\r\n" + ours)) == 200
    async with behind(tmp_path, config="[providers]\nauto = false\n") as here:
        ours = f"Host: 127.0.0.1:{here.port}\r\nConnection: close\r\n\r\n".encode()
        assert status(await send(here.port, b"GET /readyz HTTP/1.1\r\n" + ours)) == 503


async def test_every_door_tells_of_a_broken_configuration(tmp_path: Path) -> None:
    async with behind(tmp_path, config="[routing]\nstratgy = 1\n") as here:
        for path, body in (
            ("chat/completions", chat()),
            ("chat/completions", chat(stream=True)),
            ("responses", {"input": "x"}),
            ("embeddings", {"model": "one/embed", "input": "x"}),
        ):
            found, text = await post(here.port, json.dumps(body).encode(), path=f"/v1/{path}")
            error = json.loads(text)["error"]
            assert (found, error["code"]) == (503, "configuration"), path
            assert "plenum config check" in error["message"] and str(tmp_path) not in error["message"]
