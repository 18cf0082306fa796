"""What doctor says of the Python it runs in."""

import hashlib
from base64 import urlsafe_b64encode
from importlib import metadata
from pathlib import Path

import pytest

from server.security import environment

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "text", "runs"),
    [
        ("litellm_init.pth", "import os; os.system('true')\n", True),
        ("tabbed.pth", "# a path\nimport\tevil\n", True),
        ("paths.pth", "/opt/src\n# import nothing\n", False),
        ("distutils-precedence.pth", "import os\n", False),
        ("sitecustomize.py", "", True),
        ("usercustomize.py", "x = 1\n", True),
        ("module.py", "import os\n", False),
    ],
)
def test_what_starts_by_itself_is_told(tmp_path: Path, name: str, text: str, runs: bool) -> None:
    (tmp_path / name).write_text(text)
    assert environment.running([tmp_path]) == ([name] if runs else [])


def installed(folder: Path, name: str = "plenum-mcp", package: str = "server") -> metadata.Distribution:
    """A package as an installer leaves it."""
    content = b"VERSION = '1'\n"
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").write_bytes(content)
    about = folder / f"{name.replace('-', '_')}-1.dist-info"
    about.mkdir()
    digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    (about / "RECORD").write_text(f"{package}/__init__.py,sha256={digest},{len(content)}\n{about.name}/RECORD,,\n")
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (about / "top_level.txt").write_text(f"{package}\n")
    return metadata.Distribution.at(about)


async def diagnosed(monkeypatch, package, owners=None):
    monkeypatch.setattr(environment.metadata, "distribution", lambda name: package)
    monkeypatch.setattr(environment.metadata, "packages_distributions", lambda: owners or {"server": ["plenum_mcp"]})
    return await environment.as_installed(None, None)


async def test_an_untouched_installation_is_as_it_was_installed(tmp_path: Path, monkeypatch) -> None:
    (found,) = await diagnosed(monkeypatch, installed(tmp_path))
    assert (found.level, found.message) == ("ok", "plenum-mcp 1 is as it was installed")


@pytest.mark.parametrize("change", [lambda f: f.write_text("evil"), lambda f: f.unlink()], ids=["changed", "gone"])
async def test_a_file_that_was_changed_after_installing_is_named(tmp_path: Path, monkeypatch, change) -> None:
    package = installed(tmp_path)
    change(tmp_path / "server/__init__.py")
    (found,) = await diagnosed(monkeypatch, package)
    assert found.level == "warning" and "server/__init__.py" in found.message and "--force-reinstall" in found.fix


async def test_a_package_with_our_names_is_named(tmp_path: Path, monkeypatch) -> None:
    owners = {"server": ["plenum-mcp", "other-server"], "routing": ["plenum_mcp"]}
    found = await diagnosed(monkeypatch, installed(tmp_path), owners)
    assert found[0].level == "warning" and found[0].message.startswith("other-server")


async def test_running_from_source_has_nothing_to_compare(monkeypatch) -> None:
    def missing(name: str):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(environment.metadata, "distribution", missing)
    (found,) = await environment.as_installed(None, None)
    assert found.level == "ok"
