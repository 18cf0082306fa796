"""The labelled pairs through the real model, in a process of its own: numpy's threads are set before it is imported.

`python -m tests.routing.cache.real_embedder FOLDER` prints the hits as JSON.
"""

import json
import sys
import time
from pathlib import Path

from providers.minilm import MiniLM
from routing.cache.veto import veto
from tests.routing.cache import held_out
from tests.routing.cache.pairs import near_misses, paraphrases


def main(folder: Path) -> None:
    model = MiniLM(folder)
    pairs = {
        "near_misses": near_misses(),
        "paraphrases": paraphrases(),
        "held_out_near_misses": held_out.near_misses(),
        "held_out_paraphrases": held_out.paraphrases(),
    }
    texts = list(dict.fromkeys(text for kind in pairs.values() for pair in kind for text in pair))
    begun = time.process_time()
    vectors = dict(zip(texts, model.vectors(texts).vectors, strict=True))
    found: dict[str, float] = {"ms_per_text": (time.process_time() - begun) / len(texts) * 1000}
    for kind, those in pairs.items():
        near = [p for p in those if sum(a * b for a, b in zip(vectors[p[0]], vectors[p[1]], strict=True)) >= 0.95]
        found |= {kind: len(those), f"{kind}_near": len(near), f"{kind}_hit": sum(veto(*p) is None for p in near)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
