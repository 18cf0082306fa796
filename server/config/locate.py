"""Where a key stands in a TOML text: line numbers for error messages. Not a parser: `tomllib` has read the file already."""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")

Path = tuple[str | int, ...]


def line_of(text: str, key: Sequence[str | int]) -> int:
    """The 1-based line of the deepest part of `key` that stands in the text, 0 if none does."""
    places = _places(text)
    wanted = tuple(key)
    while wanted:
        if wanted in places:
            return places[wanted]
        wanted = wanted[:-1]
    return 0


def _places(text: str) -> dict[Path, int]:
    places: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            _mark(places, table, number)
        elif found := _KEY.match(line):
            _mark(places, (*table, *_parts(found[1])), number)
    return places


def _mark(places: dict[Path, int], key: Path, number: int) -> None:
    for end in range(1, len(key) + 1):
        places.setdefault(key[:end], number)


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
