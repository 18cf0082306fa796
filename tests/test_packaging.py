"""The wheel: what is in it, and that what it needs as data is there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_holds_exactly_our_three_packages(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"server", "providers", "routing"}


def test_nothing_in_the_wheel_runs_by_itself_or_is_a_leftover(names: list[str]) -> None:
    assert not [n for n in names if n.endswith((".pth", ".pyc", ".so", ".env", ".db", ".log")) or "/__pycache__/" in n]


def test_package_data_is_in_the_wheel(names: list[str]) -> None:
    assert {
        "providers/catalog/providers.toml",
        "providers/catalog/snapshot.json",
        "providers/catalog/aliases.json",
    } <= set(names)
    assert any(name.endswith("o200k_base.tiktoken.xz") for name in names)


def test_every_source_file_of_the_packages_is_in_the_wheel(names: list[str]) -> None:
    sources = [
        p.relative_to(ROOT).as_posix() for top in ("server", "providers", "routing") for p in (ROOT / top).rglob("*.py")
    ]
    assert set(sources) <= set(names)


def test_pinned_requirements_name_no_host_and_all_have_hashes() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        assert "://" not in text
        assert text.count("==") <= text.count("--hash=sha256:")
