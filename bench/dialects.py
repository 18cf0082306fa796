"""CPU per streamed text event, beside `json.loads` per event and one join: `python -m bench.dialects [--json]`.

Rounds are interleaved; figures are medians of the process's own CPU time. Target: at most 1.25 x the floor.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from providers.dialects import load, names
from providers.types import ModelCard

EVENTS, ROUNDS = 2000, 15
CARD = ModelCard(id="m")
# One text event as each provider sends it, and how a caller who trusts it gets at the text.
WIRES: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    "openai_chat": (
        lambda text: {
            "id": "chatcmpl-BpJBM4XqgLRpLxmTeun39ESCNhQwb",
            "object": "chat.completion.chunk",
            "created": 1751568164,
            "model": "gpt-4o-2024-08-06",
            "service_tier": "default",
            "system_fingerprint": "fp_07871e2ad8",
            "choices": [{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}],
            "usage": None,
        },
        lambda event: event["choices"][0]["delta"]["content"],
    ),
    "openai_responses": (
        lambda text: {
            "type": "response.output_text.delta",
            "sequence_number": 4,
            "item_id": "msg_02ce8deeb6197db200698c5198ca0c81979bedbe6c98a8ab93",
            "output_index": 0,
            "content_index": 0,
            "delta": text,
            "logprobs": [],
        },
        lambda event: event["delta"],
    ),
    "anthropic": (
        lambda text: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        lambda event: event["delta"]["text"],
    ),
    "gemini": (
        lambda text: {
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 10, "totalTokenCount": 57},
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r",
        },
        lambda event: event["candidates"][0]["content"]["parts"][0]["text"],
    ),
    "ollama": (
        lambda text: {"model": "llama3", "message": {"role": "assistant", "content": text}, "done": False},
        lambda event: event["message"]["content"],
    ),
    "cohere": (
        lambda text: {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}},
        lambda event: event["delta"]["message"]["content"]["text"],
    ),
}


def floor(events: list[tuple[str, bytes]], text: Callable[[Any], str]) -> str:
    return "".join([text(json.loads(data)) for _, data in events])


def ours(name: str, events: list[tuple[str, bytes]]) -> str:
    fold = load(name).fold(CARD)
    for kind, data in events:
        fold.event(kind, data)
    return fold.answer().text


def cpu(act: Callable[[], str]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def measure(name: str) -> dict[str, float | str]:
    write, text = WIRES[name]
    values = [write(f"word{number} ") for number in range(EVENTS)]
    events = [(value.get("type", ""), json.dumps(value).encode()) for value in values]
    assert floor(events, text) == ours(name, events)
    rounds: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        acts = [lambda: floor(events, text), lambda: ours(name, events)]
        pair = [cpu(act) for act in (acts if number % 2 else reversed(acts))]
        rounds.append((pair[0], pair[1]) if number % 2 else (pair[1], pair[0]))
    return {
        "dialect": name,
        "floor_us": statistics.median(low for low, _ in rounds) / EVENTS * 1e6,
        "ours_us": statistics.median(own for _, own in rounds) / EVENTS * 1e6,
        "ratio": statistics.median(own / low for low, own in rounds),
    }


if __name__ == "__main__":
    results = [measure(name) for name in names() if name in WIRES]
    if "--json" in sys.argv:
        print(json.dumps(results))
    else:
        for row in results:
            print("{dialect:18} floor {floor_us:5.2f} us  ours {ours_us:5.2f} us  ratio {ratio:.2f}".format(**row))
