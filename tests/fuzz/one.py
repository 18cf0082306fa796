"""One target under atheris, in this process: `python -m tests.fuzz.one TARGET CORPUS [libFuzzer's words]`."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["providers", "server.mcp", "server.config", "server.tools", "server.security", "server.http.openai"]
):
    from tests.fuzz.targets import SEEDS, TARGETS

if __name__ == "__main__":
    name, corpus = sys.argv[1:3]
    for number, seed in enumerate(SEEDS[name]):
        (Path(corpus) / f"seed{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *sys.argv[3:]], TARGETS[name])
    atheris.Fuzz()
