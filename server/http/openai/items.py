"""The output items of a response as they grow, and the events that tell of it.

One item of text or thinking is open at a time, in the order the model made them; calls may grow side by side and are
closed at the end.
"""

from dataclasses import dataclass, field
from typing import Any

from .calls import Grown

Event = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Place:
    """One item: where it stands, and its pieces so far."""

    id: str
    index: int
    kind: str
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        """What it holds."""
        return "".join(self.pieces)

    def shown(self, status: str) -> dict[str, Any]:
        """The item as OpenAI has it."""
        done = status == "completed"
        match self.kind:
            case "reasoning":
                summary = [{"type": "summary_text", "text": self.text}] if done else []
                return {"id": self.id, "type": "reasoning", "summary": summary, "status": status}
            case "message":
                content = [output_text(self.text)] if done else []
                return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}
            case _:
                return {
                    "id": self.id,
                    "type": "function_call",
                    "status": status,
                    "call_id": self.call_id,
                    "name": self.name,
                    "arguments": self.text if done else "",
                }


def output_text(text: str) -> dict[str, Any]:
    """A content part."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class Items:
    """The items of the answer with this id."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self._id = id
        self._places: list[Place] = []
        self._open: Place | None = None
        self._calls: dict[int, Place] = {}

    @property
    def place(self) -> Place:
        """The item that is open."""
        assert self._open is not None, "something was said"
        return self._open

    @property
    def items(self) -> list[dict[str, Any]]:
        """All items, as far as they came."""
        return [place.shown("completed") for place in self._places]

    def said(self, text: str) -> list[Event]:
        """Text grew. The delta itself is the caller's to tell: there are many, and it has a faster way."""
        events = self._enter("message", "msg")
        self.place.pieces.append(text)
        return events

    def thought(self, text: str) -> list[Event]:
        """Thinking grew."""
        events = self._enter("reasoning", "rs")
        place = self.place
        place.pieces.append(text)
        return [*events, ("response.reasoning_summary_text.delta", {**_at(place), "summary_index": 0, "delta": text})]

    def called(self, grown: Grown) -> list[Event]:
        """A call began or its arguments grew."""
        events: list[Event] = []
        if grown.first:
            events = self._leave()
            place = self._calls[grown.index] = self._new("function_call", "fc")
            place.call_id, place.name = grown.call.id, grown.call.name
            events.append(_added(place))
        place = self._calls[grown.index]
        if grown.piece:
            place.pieces.append(grown.piece)
            events.append(("response.function_call_arguments.delta", {**_at(place), "delta": grown.piece}))
        return events

    def close(self) -> list[Event]:
        """Nothing more comes."""
        events = self._leave()
        for place in self._calls.values():
            facts = {**_at(place), "name": place.name, "arguments": place.text}
            events += [("response.function_call_arguments.done", facts), _done(place)]
        return events

    def _enter(self, kind: str, prefix: str) -> list[Event]:
        if self._open is not None and self._open.kind == kind:
            return []
        events = self._leave()
        place = self._open = self._new(kind, prefix)
        events.append(_added(place))
        if kind == "message":
            facts = {**_at(place), "content_index": 0, "part": output_text("")}
            return [*events, ("response.content_part.added", facts)]
        facts = {**_at(place), "summary_index": 0, "part": {"type": "summary_text", "text": ""}}
        return [*events, ("response.reasoning_summary_part.added", facts)]

    def _leave(self) -> list[Event]:
        place, self._open = self._open, None
        if place is None:
            return []
        text, at = place.text, _at(place)
        if place.kind == "message":
            return [
                ("response.output_text.done", {**at, "content_index": 0, "text": text, "logprobs": []}),
                ("response.content_part.done", {**at, "content_index": 0, "part": output_text(text)}),
                _done(place),
            ]
        part = {"type": "summary_text", "text": text}
        return [
            ("response.reasoning_summary_text.done", {**at, "summary_index": 0, "text": text}),
            ("response.reasoning_summary_part.done", {**at, "summary_index": 0, "part": part}),
            _done(place),
        ]

    def _new(self, kind: str, prefix: str) -> Place:
        index = len(self._places)
        place = Place(f"{prefix}_{self._id}_{index}", index, kind)
        self._places.append(place)
        return place


def _at(place: Place) -> dict[str, Any]:
    return {"item_id": place.id, "output_index": place.index}


def _added(place: Place) -> Event:
    return "response.output_item.added", {"output_index": place.index, "item": place.shown("in_progress")}


def _done(place: Place) -> Event:
    return "response.output_item.done", {"output_index": place.index, "item": place.shown("completed")}
