"""`make canary`: the whole suite with canary keys in its environment, then a search for them in every byte it left.

Keys are random per run: those of well-known variables, and the one the tests' own houses ask their provider with.
Searched: stdout, stderr, every file the tests wrote (logs, stores), and what `listening.py` heard: answers, frames, traces.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from providers.catalog import rows
from server.security.redaction import encodings

CHUNK = 1 << 20


def main(words: list[str]) -> int:
    """Run pytest with these words; 0 where it passed and no canary was found."""
    mark = f"cnry{secrets.token_hex(12)}"
    names = {name for row in rows().values() for name in row.keys if "ENDPOINT" not in name}
    names.add("PLENUM_CANARY_HOME")
    keys = {name: f"sk-{mark}{number:04}" for number, name in enumerate(sorted(names))}
    with tempfile.TemporaryDirectory(prefix="plenum-search-") as folder:
        place = Path(folder)
        out, err = place / "stdout", place / "stderr"
        (heard := place / "heard").mkdir()
        plugin = "tests.server.security.listening"
        command = [sys.executable, "-m", "pytest", "-p", plugin, f"--basetemp={place / 'tests'}", *words]
        more = {**keys, "PLENUM_CANARY_FOLDER": str(heard)}
        with out.open("wb") as stdout, err.open("wb") as stderr:
            done = subprocess.run(command, env=os.environ | more, stdout=stdout, stderr=stderr, check=False)
        hits = list(found(place, {form.encode() for form in encodings(f"sk-{mark}")} | {mark.encode()}))
        sys.stdout.write(out.read_text("utf-8", "replace")[-600:])
        files = sum(1 for file in place.rglob("*") if file.is_file())
        size = sum(file.stat().st_size for file in heard.iterdir()) >> 10
    for hit in hits:
        sys.stdout.write(f"CANARY in {hit}\n")
    sys.stdout.write(f"{len(keys)} canary keys, {files} files and {size:,} KiB heard searched, {len(hits)} hit(s)\n")
    return 1 if hits else done.returncode


def found(place: Path, forms: set[bytes]) -> Iterator[str]:
    """Files that hold one of these."""
    longest = max(map(len, forms))
    for file in sorted(place.rglob("*")):
        if file.is_file() and not file.is_symlink() and any(_holds(file, forms, longest)):
            yield str(file.relative_to(place))


def _holds(file: Path, forms: set[bytes], longest: int) -> Iterator[bool]:
    with file.open("rb") as stream:
        tail = b""
        while chunk := stream.read(CHUNK):
            yield any(form in tail + chunk for form in forms)
            tail = chunk[-longest:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["-m", "not soak", "-n", "4", "--dist", "worksteal"]))
