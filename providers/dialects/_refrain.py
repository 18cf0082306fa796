"""Reading a text event without parsing it, where it repeats an earlier one in all but its text.

Most speakers say id, model and all the rest anew with every word. Where both ends are the same to the byte, and one JSON
string without escapes stands between them, the parser would find the same event with that text, at three times the cost.
Who pads or numbers its events (OpenAI's `obfuscation`, Mistral's `p`) never repeats one, and is soon left alone.
"""

from collections.abc import Mapping
from typing import Any

_MOST_IN_VAIN = 2  # events learnt and not repeated, one after the other


class Refrain:
    """What stands around the text in the events of one answer. `name` is the member that holds it."""

    __slots__ = ("_begins", "_ends", "_in_vain", "_key", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._key = f'"{name}":'.encode()
        self._begins = self._ends = b""
        self._in_vain = 0

    def text(self, data: bytes) -> str | None:
        """The text of an event that differs in nothing else from the one learnt; None of every other event."""
        begins, ends = self._begins, self._ends
        if not begins or not data.startswith(begins) or not data.endswith(ends):
            return None
        try:
            text = data[len(begins) : -len(ends)].decode()
        except UnicodeDecodeError:
            return None
        # a control would be no JSON, and what has no length may be two ends that overlap
        if not text or '"' in text or "\\" in text or not text.isprintable():
            return None
        self._in_vain = 0
        return text

    def learn(self, data: bytes, said: Any) -> bool:
        """Expect this event again, if `said`, where the parser found its text, says nothing else; False once in vain."""
        text = said.get(self._name) if said.__class__ is dict else None
        if text.__class__ is not str or not text or self._more(said):
            return True
        begins, found, ends = data.partition(b'"%b"' % text.encode("utf-8", "replace"))
        if found and begins.rstrip().endswith(self._key) and data.count(self._key) == 1:
            self._begins, self._ends = begins + b'"', b'"' + ends
            self._in_vain += 1
        return self._in_vain <= _MOST_IN_VAIN

    def _more(self, said: Mapping[str, Any]) -> bool:
        return any(said[name] for name in said if name not in (self._name, "role"))
