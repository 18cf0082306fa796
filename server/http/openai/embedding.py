"""`POST /v1/embeddings`: a body in, vectors out, as numbers or as base64 of 32-bit floats (what the official client asks for)."""

import base64
import math
import re
import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from routing.embedding import Embedded
from routing.types import Receipt
from server import receipts

from .bodies import PLAIN, BadField, Extension

MOST = 2048  # OpenAI's limit of inputs
# Trained so that a prefix is a vector too (OpenAI, Google, Nomic, Cohere, Qwen say so); all others would be spoiled.
_SHORTENABLE = re.compile(r"text-embedding-3|gemini-embedding|nomic-embed-text|embed-v4|qwen3-embedding", re.IGNORECASE)
Input = Annotated[str, StringConstraints(min_length=1)]


class EmbeddingsBody(BaseModel):
    """The body. Tokens in place of text are refused: only their own model could read them."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    input: Input | Annotated[list[Input], Field(min_length=1, max_length=MOST)]
    model: Annotated[str, Field(max_length=200)] = "auto"
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    plenum: Annotated[Extension, Field(default_factory=lambda: PLAIN)]

    @property
    def texts(self) -> list[str]:
        """What to embed."""
        return [self.input] if isinstance(self.input, str) else self.input


def written(body: EmbeddingsBody, found: Embedded, receipt: Receipt) -> dict[str, Any]:
    """The answer. Raises BadField where vectors of this model cannot be shortened."""
    vectors = [_shortened(vector, body.dimensions, receipt.model) for vector in found.vectors]
    encoded = map(_packed if body.encoding_format == "base64" else list[float], vectors)
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": i, "embedding": each} for i, each in enumerate(encoded)],
        "model": f"{receipt.provider}/{receipt.model}",
        "usage": {"prompt_tokens": found.usage.input, "total_tokens": found.usage.input},
        **({"plenum": {"receipt": receipts.as_json(receipt)}} if body.plenum.receipt else {}),
    }


def check(body: EmbeddingsBody) -> None:
    """Refuse what is known to be impossible before it is paid."""
    if body.dimensions and body.model not in ("", "auto") and not _SHORTENABLE.search(body.model):
        raise BadField("dimensions", "Vectors of this model cannot be shortened.", "Leave `dimensions` out.")


def _shortened(vector: Sequence[float], dimensions: int | None, model: str) -> Sequence[float]:
    """The prefix at unit length, as OpenAI makes it."""
    if dimensions is None or dimensions == len(vector):
        return vector
    if dimensions > len(vector) or not _SHORTENABLE.search(model):
        raise BadField("dimensions", f"Vectors of {model} have {len(vector)} dimensions.", "Leave `dimensions` out.")
    head = vector[:dimensions]
    length = math.sqrt(sum(value * value for value in head)) or 1.0
    return [value / length for value in head]


def _packed(vector: Sequence[float]) -> str:
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
