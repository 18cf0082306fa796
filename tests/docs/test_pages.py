"""The documents: their code runs, their configuration is valid, their links lead somewhere."""

import re
from pathlib import Path

import pytest

from server.config.load import Folders, load

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted(DOCS.glob("*.md"))


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in BLOCK.findall(page.read_text("utf-8")) if name == language]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name.startswith("extend-")], ids=lambda p: p.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    code = blocks(page, "python")
    assert code
    scope: dict = {"__name__": page.stem}
    for body in code:
        exec(compile(body, page.name, "exec"), scope)


@pytest.mark.parametrize(
    "page", [DOCS / f"{n}.md" for n in ("configure", "providers", "money", "experiments")], ids=lambda p: p.stem
)
def test_the_configuration_of_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    for number, body in enumerate(blocks(page, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(body, "utf-8")
        assert load(file, {}, Folders(tmp_path, tmp_path), tmp_path / "none.toml")


def test_every_link_of_every_page_leads_somewhere() -> None:
    for page in [*PAGES, DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} → {target}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS.parent / "llms.txt").read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", index):
        assert (DOCS.parent / target).exists(), target
    own = ("start", "configure", "hosts", "providers", "routing", "money", "operate", "migrate", "extend-dialect")
    for name in (*own, "extend-strategy", "extend-fusion", "extend-store"):
        assert f"docs/{name}.md" in index
