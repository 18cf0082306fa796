"""The supply chain: a wheel that is the repository and nothing else, hashes for everything, a bill of materials."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "packaging"))

import sbom
import supply

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("supply")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return next(target.glob("*.whl"))


def changed(wheel: Path, tmp_path: Path, change) -> Path:
    """A copy in which `change` made other contents of the contents, by name."""
    copy = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(copy, "w") as new:
        for name, content in change({name: old.read(name) for name in old.namelist()}).items():
            new.writestr(name, content)
    return copy


def about(contents: dict[str, bytes], name: str) -> str:
    return next(each for each in contents if each.endswith(f".dist-info/{name}"))


def test_the_wheel_is_the_repository_and_nothing_else(wheel: Path) -> None:
    assert list(supply.faults(wheel)) == []


TAMPERED = {
    "a .pth": (lambda c: c | {"plenum_init.pth": b"import os"}, "runs by itself"),
    "a sitecustomize": (lambda c: c | {"sitecustomize.py": b""}, "outside of our packages"),
    "a file more": (lambda c: c | {"server/http/doors/extra.py": b"routes = 1"}, "not in the repository"),
    "a changed file": (lambda c: c | {"server/__main__.py": c["server/__main__.py"] + b"\n"}, "not as in the repository"),
    "a file less": (lambda c: {k: v for k, v in c.items() if k != "server/http/guard.py"}, "guard.py is missing"),
    "a way out": (lambda c: c | {"server/../../../.bashrc": b"x"}, "leads out"),
    "data scripts": (lambda c: c | {"plenum_mcp-0.data/scripts/pip": b"x"}, "outside of our packages"),
    "another command": (
        lambda c: c | {about(c, "entry_points.txt"): c[about(c, "entry_points.txt")] + b"pip = server.evil:main\n"},
        "commands",
    ),
    "a pytest plug-in": (
        lambda c: c | {about(c, "entry_points.txt"): c[about(c, "entry_points.txt")] + b"\n[pytest11]\nx = server\n"},
        "entry points",
    ),
    "a record that lies": (lambda c: c | {about(c, "METADATA"): b"Name: other"}, "RECORD"),
    "more about it": (lambda c: c | {about(c, "METADATA").replace("METADATA", "top.pth"): b""}, "not expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_wheel_that_was_tampered_with_is_found_out(wheel: Path, tmp_path: Path, name: str) -> None:
    change, says = TAMPERED[name]
    assert any(says in fault for fault in supply.faults(changed(wheel, tmp_path, change)))


def test_everything_that_is_installed_is_known_by_its_hash(tmp_path: Path) -> None:
    assert list(supply.unlocked(ROOT / "requirements")) == []
    for line in (
        "evil==1",
        "evil>=1 --hash=sha256:00",
        "evil @ https://x.example/e.whl --hash=sha256:00",
        "-r more.txt",
    ):
        (tmp_path / "run.txt").write_text(f"{line}\n")
        assert len(list(supply.unlocked(tmp_path))) == 1


def test_the_bill_of_materials_names_every_package_of_the_lock_file_with_its_hashes(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    lock, out = ROOT / "requirements/run.txt", tmp_path / "bom.json"
    sbom.main(lock, out)
    first = out.read_text()
    sbom.main(lock, out)
    assert out.read_text() == first  # the same lock file, the same document
    bill, pins = json.loads(first), {pin.name: pin for pin in sbom.pins(lock.read_text())}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "plenum-mcp"
    found = {c["name"]: c for c in bill["components"]}
    assert set(found) == set(pins) and len(found) > 50
    for name, component in found.items():
        (reference,) = component["externalReferences"]
        assert {each["content"] for each in reference["hashes"]} == set(pins[name].hashes)
        assert component["version"] == pins[name].version
    assert "://" not in json.dumps([c["externalReferences"] for c in bill["components"]])
    needs = {each["ref"].partition("==")[0]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert any(name.startswith("mcp==") for name in needs["plenum-mcp"]) and needs["mcp"]


@pytest.mark.parametrize("line", ["evil==1", "evil", "-e .", "evil @ https://x.example/evil.whl --hash=sha256:00"])
def test_a_bill_of_what_is_not_locked_is_not_written(tmp_path: Path, line: str) -> None:
    (tmp_path / "lock.txt").write_text(f"{line}\n")
    with pytest.raises(SystemExit, match="make lock"):
        sbom.main(tmp_path / "lock.txt", tmp_path / "bom.json")
    assert not (tmp_path / "bom.json").exists()
