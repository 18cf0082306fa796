"""The commands that README and the pages name exist, with the options they name."""

import re
from pathlib import Path

import pytest

from server.cli import Common, command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INLINE = re.compile(r"`plenum ([a-z][^`]*)`")
LINE = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?plenum ([a-z].*)$", re.MULTILINE)
ANYWHERE = {"--json", "--config", "--version", "--help"}
SPANS = {"route"}  # `plenum route` is a span's name


def said(page: Path) -> list[str]:
    text = page.read_text("utf-8")
    return [words.partition("#")[0] for words in INLINE.findall(text) + LINE.findall(text)]


def test_the_pages_name_commands() -> None:
    assert sum(len(said(page)) for page in PAGES) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    whole = command(Common())
    for line in said(page):
        node, words = whole, re.findall(r'"[^"]*"?|[^\s|]+', line)
        if words[0] in SPANS:
            continue
        while words and getattr(node, "commands", None):
            assert words[0].split("/")[0] in node.commands, f"{page.name}: plenum {line}"
            node = node.commands[words.pop(0).split("/")[0]]
        known = ANYWHERE | {name for parameter in node.params for name in (*parameter.opts, *parameter.secondary_opts)}
        own = words[: words.index("--")] if "--" in words else words
        for option in (word.partition("=")[0] for word in own if word.startswith("-")):
            assert option in known, f"{page.name}: plenum {line}"
