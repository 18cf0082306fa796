"""Provider batch endpoints over real HTTP: handed in, found again, read line by line, stopped; nothing is believed."""

import json
from dataclasses import replace

import anyio
import pytest

from providers import batches
from providers.batches import Row, Written, told
from providers.dialects import Call, load
from providers.errors import BadRequest, Malformed, ProviderError, TimedOut, Unavailable
from providers.http import Http, HttpProvider, Route, Timeouts
from providers.simulator import Conduct, Scenario, parse_fault
from providers.simulator.http11 import document
from providers.simulator.listening import listening
from providers.simulator.server import serve
from providers.types import Batcher, Item, Message, ModelCard, Request, Text

pytestmark = pytest.mark.anyio
CARD = ModelCard("m-1", context_window=100_000, capabilities=frozenset({"streaming", "json", "sampling"}))
ENDPOINTS = {
    "openai": ("openai", "openai_chat", "/openai/v1"),
    "responses": ("openai", "openai_responses", "/openai/v1"),
    "anthropic": ("anthropic", "anthropic", "/anthropic"),
    "mistral": ("mistral", "openai_chat", "/mistral/v1"),
    "gemini": ("gemini", "gemini", "/gemini/v1beta"),
}
EVERY = pytest.mark.parametrize("endpoint", ENDPOINTS)
NAME = "0123456789abcdef"
NOW = 2_000_000_000.0  # later than any clock of this machine, so that `find` must allow for clocks that differ


def desk(http: Http, base: str, endpoint: str, **facts):
    wire, dialect, prefix = ENDPOINTS[endpoint]
    provider = HttpProvider(
        http,
        load(dialect),
        Route(base + prefix),
        card=lambda model: replace(CARD, id=model),
        key=lambda: "sk-1",
        batch=batches.load(wire),
        **facts,
    )
    assert isinstance(provider, Batcher)
    return provider.batches("m-1")


def items(*texts: str) -> list[Item]:
    requests = [Request((Message("user", (Text(text),)),), max_tokens=200) for text in texts]
    return [Item(f"{NAME}-{number}", request) for number, request in enumerate(requests, 1)]


async def outcomes(queue, id_):
    return {outcome.id: outcome async for outcome in queue.outcomes(id_)}


def test_there_is_a_wire_for_each_of_the_four():
    assert batches.names() == ("anthropic", "gemini", "mistral", "openai")
    with pytest.raises(KeyError):
        batches.load("cohere")


@EVERY
async def test_a_batch_is_handed_in_found_by_its_name_and_read(endpoint):
    async with serve(Scenario(batch_s=0)) as base, Http() as http:
        queue = desk(http, base, endpoint)
        assert await queue.find(NAME, 3, 0.0) is None
        id_ = await queue.submit(NAME, items("What is 2+3?", "What is 4+4?", "What is 1+1?"))
        assert (await queue.look(id_)).ended == "completed"
        assert await queue.find(NAME, 3, 0.0) == id_
        assert await queue.find("another", 3, 0.0) is None
        found = await outcomes(queue, id_)
    assert [found[f"{NAME}-{n}"].answer.text[-2] for n in (1, 2, 3)] == ["5", "8", "2"]
    assert all(o.answer.finish_reason == "stop" and o.answer.usage.output > 0 for o in found.values())
    assert all(o.answer.simulated for o in found.values())


@EVERY
async def test_one_that_runs_says_so_and_one_that_is_stopped_ran_nothing(endpoint):
    async with serve(Scenario(batch_s=10_000)) as base, Http() as http:
        queue = desk(http, base, endpoint)
        id_ = await queue.submit(NAME, items("one", "two"))
        assert (await queue.look(id_)).ended == ""
        await queue.cancel(id_)
        assert (await queue.look(id_)).ended == "cancelled"
        found = await outcomes(queue, id_)
    assert all(isinstance(o.error, Unavailable) and o.error.billed == "no" for o in found.values())
    assert endpoint in ("mistral", "gemini") or len(found) == 2


@EVERY
async def test_an_expired_one_gives_what_was_answered(endpoint):
    async with serve(Scenario(batch_s=0, batch_faults=("expire",))) as base, Http() as http:
        queue = desk(http, base, endpoint)
        id_ = await queue.submit(NAME, items("What is 2+3?", "What is 4+4?"))
        assert (await queue.look(id_)).ended == "expired"
        found = await outcomes(queue, id_)
    assert found[f"{NAME}-1"].answer.text.endswith("5.")
    late = found.get(f"{NAME}-2")
    assert late is None or (isinstance(late.error, TimedOut) and late.error.billed == "no")


@EVERY
async def test_a_line_that_fails_takes_no_other_along(endpoint):
    scenario = Scenario(models={"*": Conduct(script=(parse_fault("status:400"), None))}, batch_s=0)
    async with serve(scenario) as base, Http() as http:
        queue = desk(http, base, endpoint)
        id_ = await queue.submit(NAME, items("bad", "What is 4+4?"))
        found = await outcomes(queue, id_)
    assert isinstance(found[f"{NAME}-1"].error, BadRequest)
    assert "Simulated" not in str(found[f"{NAME}-1"].error)
    assert found[f"{NAME}-2"].answer.text.endswith("8.")


@EVERY
async def test_one_whose_receipt_was_lost_is_found_again(endpoint):
    async with serve(Scenario(batch_s=0, batch_faults=("hang",))) as base, Http() as http:
        impatient = desk(http, base, endpoint, timeouts=Timeouts(idle=2))
        with pytest.raises(TimedOut):
            await impatient.submit(NAME, items("What is 2+3?"))
        queue = desk(http, base, endpoint)
        id_ = await queue.find(NAME, 1, 0.0)
        assert id_ is not None
        assert (await outcomes(queue, id_))[f"{NAME}-1"].answer.text.endswith("5.")


async def test_anthropic_is_not_guessed_at_while_a_batch_of_that_size_runs():
    async with serve(Scenario(batch_s=10_000)) as base, Http() as http:
        queue = desk(http, base, "anthropic")
        await queue.submit(NAME, items("one", "two"))
        with pytest.raises(Unavailable):
            await queue.find(NAME, 2, 0.0)
        assert await queue.find(NAME, 3, 0.0) is None
        assert await queue.find(NAME, 2, NOW) is None


async def test_no_address_a_provider_names_is_followed():
    """Our simulator's Anthropic names a results_url on another host: the key stays here."""
    async with serve(Scenario(batch_s=0)) as base, Http() as http:
        queue = desk(http, base, "anthropic")
        id_ = await queue.submit(NAME, items("What is 2+3?"))
        assert len(await outcomes(queue, id_)) == 1


@pytest.mark.parametrize("id_", ["", "../files", "a/b", "a?b", None, 7, "x" * 201, "ä"])
def test_an_id_that_could_lead_elsewhere_is_refused(id_):
    with pytest.raises(Malformed):
        told(id_)


@EVERY
@pytest.mark.parametrize("body", [[], {}, {"id": 7}, {"id": "../x"}, {"name": "batches/../x"}, None, "x"])
async def test_whatever_comes_instead_of_a_batch_is_one_of_our_errors(endpoint, body):
    async def odd(stream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(document(200, body, {"connection": "close"}))

    async with listening(odd) as base, Http() as http:
        queue = desk(http, base, endpoint)
        with pytest.raises(ProviderError):
            await queue.submit(NAME, items("one"))
        assert (await queue.look("b_1")).ended == ""
        assert await queue.find(NAME, 1, 0.0) is None


@pytest.mark.parametrize("wire", batches.names())
@pytest.mark.parametrize("raw", [{}, {"custom_id": 5}, {"response": [], "error": "x"}, {"result": {"error": 3}}])
def test_a_row_of_any_shape_is_read(wire, raw):
    row = batches.load(wire).row(raw)
    assert isinstance(row, Row) and row.status >= 400


def test_what_was_recorded_is_read():
    """Publicly recorded exchanges (guide providers §17), reduced to what is looked at."""
    openai = batches.load("openai").look("batch_6a85")
    next(openai)
    with pytest.raises(StopIteration) as seen:
        openai.send({"id": "batch_6a85", "status": "validating", "request_counts": {"total": 0, "completed": 0}})
    assert seen.value.value.ended == ""
    raw = {"id": "b-0", "custom_id": "0", "response": {"status_code": 200, "body": {"id": "f"}}, "error": None}
    assert batches.load("mistral").row(raw) == Row("0", 200, {"id": "f"})
    mistral = batches.load("mistral").look("ca1c")
    next(mistral)
    with pytest.raises(StopIteration) as seen:
        mistral.send({"status": "SUCCESS", "succeeded_requests": 2, "failed_requests": 0})
    assert (seen.value.value.ended, seen.value.value.done) == ("completed", 2)
    gemini = batches.load("gemini").look("31u1")
    next(gemini)
    with pytest.raises(StopIteration) as seen:
        gemini.send({"name": "batches/31u1", "metadata": {"state": "BATCH_STATE_PENDING", "batchStats": {}}})
    assert seen.value.value.ended == ""


def test_what_is_uploaded_holds_one_request_a_line():
    flow = batches.load("openai").submit(NAME, [Written("a", Call("/chat/completions", {"x": "ü\n"}))], "m")
    call = next(flow)
    assert call.raw is not None and call.headers["content-type"].startswith("multipart/form-data; boundary=")
    (line,) = [json.loads(row) for row in call.raw.splitlines() if row.startswith(b"{")]
    assert line == {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"x": "ü\n"}}


async def test_a_document_is_sent_as_what_it_is():
    heads = []

    async def host(stream) -> None:
        async with stream:
            heads.append(await stream.receive())
            await stream.send(document(200, {"object": "list", "data": []}, {"connection": "close"}))

    async with listening(host) as base, Http() as http:
        with anyio.fail_after(30), pytest.raises(ProviderError):
            await desk(http, base, "mistral").submit(NAME, items("one"))
    assert b"content-type: application/json" in heads[0].lower()
