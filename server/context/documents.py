"""A piece of foreign text made safe to look at: cleaned, cut, counted, split into words and passages. Pure."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from providers.catalog.tokens import count_text, loaded

from .suspicion import signs

LONGEST = 256 << 10  # characters of one text that are looked at (guide reliability-and-security §9.4)
PASSAGE = 1_200  # characters, about 300 tokens: a few paragraphs
_NEWLINES = re.compile(r"\r\n?|[\u2028\u2029\x0b\x0c\x85]")
_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Format characters (zero-width, bidirectional, tags), controls, surrogates, private use, and variation selectors beyond
# the emoji's: what a person does not see and a model does.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that may be shown without the rest."""

    at: int
    text: str
    words: Counter[str]
    tokens: int


@dataclass(frozen=True, eq=False)
class Document:
    """A text of an upstream. `label` is its name in receipts; `flags` say what in it looks like an instruction."""

    server: str
    label: str
    text: str
    tokens: int
    words: Counter[str]
    print: str  # a digest of the text
    flags: tuple[str, ...] = ()
    asked: bool = False  # fetched for this very prompt: relevance is what its upstream was asked for

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """The text in parts of about `PASSAGE` characters, cut where it pauses."""
        parts = tuple(_parts(self.text))
        share = self.tokens / max(1, len(self.text))
        return tuple(Passage(at, part, Counter(words(part)), int(len(part) * share) + 1) for at, part in parts)

    @cached_property
    def essence(self) -> str:
        """Equal for texts that differ in spacing only."""
        return " ".join(self.text.split())


def document(server: str, label: str, text: str, *, asked: bool = False) -> Document:
    """A document of a raw text. Costs about a millisecond per 10 kB: for a thread."""
    cut = len(text) > LONGEST
    safe = clean(text[:LONGEST])
    flags = (
        *signs(safe, text[:LONGEST]),
        *((f"only its first {LONGEST >> 10} Ki characters were read",) if cut else ()),
    )
    digest = hashlib.sha256(safe.encode()).hexdigest()
    # The ranks take half a second to load (`service` begins with it): until then bytes say no fewer than there are.
    tokens = count_text(safe) if loaded() else ceil(len(safe.encode()) / 3)
    title = Counter(words(label))
    counted = Counter(words(safe)) + title + title + title  # a name says more than a mention
    return Document(server, named(label), safe, tokens, counted, digest, flags, asked)


def clean(text: str) -> str:
    """The text without what nobody sees: controls, bidirectional and zero-width characters, tags."""
    plain = _NEWLINES.sub("\n", text)
    if not plain.isascii():
        plain = "".join(c for c in plain if c in "\n\t" or not _unseen(c))
    return "".join(c for c in plain if (c >= " " and c != "\x7f") or c in "\n\t").strip()


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in _UNSEEN or "\U000e0100" <= char <= "\U000e01ef" or char in "\u115f\u1160\u3164"


def named(label: str) -> str:
    """A label as it may stand in a fence: one line, no quotes or brackets, at most 200 characters."""
    return "".join(c for c in clean(label) if c.isprintable() and c not in "<>\"'`\n")[:200]


def words(text: str) -> Iterator[str]:
    """The words that count when looking for something; Chinese, Japanese and Korean in pairs of characters."""
    for found in _WORD.finditer(text):
        word = found[0]
        if word.isascii():
            for part in _CAMEL.split(word):
                yield part.lower()
        elif _CJK.search(word):
            yield from (word[i : i + 2] for i in range(max(1, len(word) - 1)))
        else:
            yield word.casefold()


def _parts(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = min(len(text), start + PASSAGE)
        if end < len(text):
            end = _pause(text, start, end)
        if part := text[start:end].strip():
            yield start, part
        start = end


def _pause(text: str, start: int, end: int) -> int:
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, start + PASSAGE // 2, end)
        if at > 0:
            return at + len(mark)
    return end


def joined(parts: Sequence[str]) -> str:
    """Texts of one answer as one."""
    return "\n\n".join(part for part in parts if part.strip())
