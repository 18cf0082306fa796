"""What is written of an answer is JSON in UTF-8, whatever a model said."""

import json

import pytest

from providers.types import Answer, Delta
from routing.types import Receipt, Result
from server.http.openai.completion import LAST, Completion, dumped

SAID = {"quotes": 'a "b" \\', "half a pair": "a\ud83d", "controls": "\x00\x1f\x7f\u2028\n", "letters": "é 🎈 %s %b"}


def completion() -> Completion:
    return Completion(structured=False, include_usage=False, receipt=False)


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_a_text_arrives_as_it_was_said_and_half_a_pair_as_a_question_mark(said: str) -> None:
    told, meant = completion(), said.replace("\ud83d", "?")
    result = Result(Answer(said, finish_reason="stop"), Receipt("g_1", provider="p", model="%s"))
    whole = json.loads(dumped(told.whole(result)))
    assert whole["choices"][0]["message"]["content"] == meant
    pieces = told.begin("g_1", "p/%s"), told.delta(Delta("text", said), lambda: result.answer), told.end(result)
    chunks = [json.loads(line[6:]) for line in b"".join(pieces).removesuffix(LAST).split(b"\n\n") if line]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == ["", meant, None]
    assert {(chunk["id"], chunk["model"], chunk["object"]) for chunk in chunks} == {
        ("chatcmpl-g_1", "p/%s", "chat.completion.chunk")
    }


def test_a_document_is_written_however_deep_it_is() -> None:
    deep: object = "end"
    for _ in range(400):
        deep = [deep]
    assert dumped({"a": deep}) == b'{"a":' + b"[" * 400 + b'"end"' + b"]" * 400 + b"}"
