"""How many tokens a request is, before anybody counts it for us. No network, ever.

Three answers, from cheap to dear: a bound from bytes alone (no tokenizer has more tokens than bytes), an estimate from
characters, and a count with tiktoken's o200k ranks times a factor of the model's family. The ranks (50 MB in memory,
half a second) are loaded only when a byte bound cannot decide. Factors: measured over recorded exchanges of 2026,
reported prompt tokens / o200k count (typical, and about the 90th percentile).
"""

import base64
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from json import dumps
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from ..types import Image, ModelCard, Part, Reasoning, Request, Text, ToolCall, ToolResult
from .cards import plain

if TYPE_CHECKING:
    from tiktoken import Encoding

RANKS = "o200k_base.tiktoken.xz"
# tiktoken_ext/openai_public.py: the seven alternatives of o200k_base.
_ALTERNATIVES = (
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
    r"""\p{N}{1,3}""",
    r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
    r"""\s*[\r\n]+""",
    r"""\s+(?!\S)""",
    r"""\s+""",
)
PATTERN = "|".join(_ALTERNATIVES)
EXACT_CHARS = 8_192  # counted whole up to here, sampled above
SAMPLE_CHARS = 2_000  # three of these estimate 400 KB within 6 %
TURN = 4  # OpenAI's framing of a message; 3 more open the answer
PREAMBLE = 128  # what providers put before a prompt unasked (gpt-oss' system header, date lines)
TOOLING = 768  # Anthropic's hidden system prompt with tools is about 350, newer ones more


@dataclass(frozen=True, slots=True)
class Factor:
    """A family's tokens over o200k's: `typical` for estimates, `high` for windows and money; tokens of a picture."""

    typical: float
    high: float
    picture: int = 1_000
    picture_high: int = 4_800


# First match counts, on the bare id; pictures at full detail from the vendors' pages.
_FACTORS: tuple[tuple[str, Factor], ...] = (
    (r"^gpt-oss", Factor(1.03, 1.20)),
    (r"^(chat)?gpt-|^o[134](-|$)|^codex|^text-embedding", Factor(1.0, 1.02, 765, 2_500)),
    (r"^claude-(2|3|instant)", Factor(1.18, 1.30, 1_600, 1_700)),
    (r"^claude-(opus|sonnet|haiku)-4(-[0-6])?$", Factor(1.26, 1.40, 1_600, 1_700)),
    (r"^claude", Factor(1.44, 1.68, 1_600, 4_800)),  # the tokenizer of Opus 4.7 and later
    (r"^gemini-[12]", Factor(1.13, 1.25, 258, 2_600)),
    (r"^gemini", Factor(1.04, 1.20, 1_120, 2_600)),
    (r"^grok", Factor(1.0, 1.05, 1_000, 1_792)),
    (r"deepseek", Factor(1.06, 1.10)),
    (r"mistral|mixtral|codestral|devstral|magistral|ministral|pixtral", Factor(1.17, 1.25)),
    (r"^command|^c4ai", Factor(1.52, 2.50)),
    (r"llama|qwen|gemma|phi|glm|kimi|minimax", Factor(1.17, 1.35)),
)
_UNKNOWN = Factor(1.25, 1.70)


@lru_cache(maxsize=4096)
def factor(model: str) -> Factor:
    """The factor of a model by its id, vendor prefix or not."""
    name = plain(model.rpartition("/")[2])
    return next((found for shape, found in _FACTORS if re.search(shape, name)), _UNKNOWN)


@cache
def encoding() -> "Encoding":
    """o200k_base from package data: about half a second once, 0.2 s of it with the interpreter's lock held."""
    import tiktoken

    raw = lzma.decompress(files("providers.catalog").joinpath(RANKS).read_bytes())
    pairs = (line.split() for line in raw.splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    made = tiktoken.Encoding(
        "o200k_base",
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens={"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018},
    )
    vars(made)["_mergeable_ranks"] = {}  # only pickling needs this copy: 25 MB
    return made


def loaded() -> bool:
    """Whether the ranks are in memory."""
    return encoding.cache_info().currsize > 0


def count_text(text: str) -> int:
    """o200k tokens of a text: exact up to 8,192 characters, else from three samples."""
    if len(text) <= EXACT_CHARS:
        return _count_short(text)
    middle = (len(text) - SAMPLE_CHARS) // 2
    samples = (text[:SAMPLE_CHARS], text[middle : middle + SAMPLE_CHARS], text[-SAMPLE_CHARS:])
    return ceil(sum(map(_count_short, samples)) * len(text) / (3 * SAMPLE_CHARS))


def exact_text(text: str) -> int:
    """o200k tokens of a text, all of it: about 60 µs a kilobyte."""
    return len(encoding().encode_ordinary(text))


@lru_cache(maxsize=1024)
def _count_short(text: str) -> int:
    return len(encoding().encode_ordinary(text))


class Size(NamedTuple):
    """A request in units no family changes: UTF-8 bytes, characters / 4 or so, turns, pictures, whether it has tools."""

    bytes: int
    rough: int
    turns: int
    pictures: int
    tools: bool

    @property
    def bound(self) -> int:
        """Never fewer tokens than any tokenizer makes of the texts."""
        return self.bytes + 16 * self.turns + PREAMBLE + (TOOLING if self.tools else 0)


def size(request: Request) -> Size:
    """Measure a request without a tokenizer."""
    total = rough = 0
    for piece in _texts(request):
        length = _utf8(piece)
        total += length
        rough += _rough(piece, length)
    return Size(
        bytes=total,
        rough=rough,
        turns=len(request.messages) + bool(request.system),
        pictures=sum([isinstance(part, Image) for message in request.messages for part in message.parts]),
        tools=bool(request.tools),
    )


def upper_bound(request: Request, model: str) -> int:
    """Input tokens that no count will exceed, from bytes alone (pictures at the family's largest)."""
    measured = size(request)
    return measured.bound + measured.pictures * factor(model).picture_high


def count(request: Request, model: str) -> int:
    """Input tokens by o200k times the family's typical factor; loads the ranks."""
    own = factor(model)
    texts = sum(map(count_text, _texts(request)))
    measured = size(request)
    return ceil(texts * own.typical) + TURN * measured.turns + 3 + measured.pictures * own.picture


def tight_bound(request: Request, model: str) -> int:
    """Input tokens at the family's 90th percentile with a margin, never above `upper_bound`; loads the ranks.

    For a budget that a byte bound does not fit. Long texts are counted whole: call it in a thread above 100 KB.
    """
    own = factor(model)
    measured = size(request)
    texts = ceil(sum(map(exact_text, _texts(request))) * own.high * 1.05)
    framing = 16 * measured.turns + PREAMBLE + (TOOLING if measured.tools else 0)
    return min(texts + framing + measured.pictures * own.picture_high, upper_bound(request, model))


def fits(request: Request, window: int, model: str) -> bool:
    """Whether a prompt fits `window` tokens at the family's 90th percentile; the ranks load only if bytes leave doubt."""
    measured, own = size(request), factor(model)
    pictures = measured.pictures * own.picture
    if measured.bound + pictures <= window:
        return True
    return ceil(sum(map(count_text, _texts(request))) * own.high) + TURN * measured.turns + 3 + pictures <= window


class Counter:
    """A `Measure` of routing: an estimate and a bound per request and card, measured once per request.

    The estimate is rough until the ranks are loaded, and loads them only where bytes leave a window in doubt.
    """

    def __init__(self) -> None:
        self._request: Request | None = None
        self._size = Size(0, 0, 0, 0, tools=False)
        self._texts: int | None = None

    def estimate(self, request: Request, card: ModelCard) -> int:
        """The likely number of input tokens; at the 90th percentile where the window is near."""
        measured, own = self._measured(request), factor(card.id)
        pictures = measured.pictures * own.picture + TURN * measured.turns + 3
        room = (card.max_input or card.context_window) - pictures
        if measured.bound <= room and not loaded():
            return ceil(measured.rough * own.typical) + pictures
        texts = self._counted(request)
        near = texts * own.high > room
        return ceil(texts * (own.high if near else own.typical)) + pictures

    def bound(self, request: Request, card: ModelCard) -> int:
        """A number never below the true one, from bytes alone."""
        measured = self._measured(request)
        return measured.bound + measured.pictures * factor(card.id).picture_high

    def _measured(self, request: Request) -> Size:
        if self._request is not request:  # asked once per candidate of one request: remember the last
            self._request, self._size, self._texts = request, size(request), None
        return self._size

    def _counted(self, request: Request) -> int:
        if self._texts is None:
            self._texts = sum(map(count_text, _texts(request)))
        return self._texts


def _texts(request: Request) -> Iterator[str]:
    if request.system:
        yield request.system
    for message in request.messages:
        for part in message.parts:
            if text := _text(part):
                yield text
    for tool in request.tools:
        yield dumps([tool.name, tool.description, dict(tool.parameters)], ensure_ascii=False, default=str)
    if request.schema is not None:
        yield dumps(dict(request.schema), ensure_ascii=False, default=str)


def _text(part: Part) -> str:
    match part:
        case Text(text=text) | Reasoning(text=text) | ToolResult(text=text):
            return text
        case ToolCall(name=name, arguments=arguments):
            return f"{name} {arguments}"
        case Image():
            return ""


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _rough(text: str, length: int) -> int:
    # English and code: four characters a token. Other scripts: three bytes.
    return ceil(length / (4 if len(text) == length else 3))
