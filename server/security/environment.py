"""What `plenum doctor` looks at in the Python it runs in: code that starts by itself, and whether we are what was installed."""

import hashlib
import site
import sysconfig
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from anyio.to_thread import run_sync

from ..config import Loaded
from ..config.world import World
from ..diagnosis import Diagnosis

NAME = "plenum-mcp"
PACKAGES = ("server", "routing", "providers")
OWN_PTH = ("distutils-precedence.pth", "_virtualenv.pth", "a1_coverage.pth")  # of setuptools, virtualenv, coverage
HOOKS = ("sitecustomize.py", "usercustomize.py")
SHOWN = 5


async def started_by_itself(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    """`.pth` files and hooks that run code at every start of Python: how LiteLLM's users were hit (PYSEC-2026-2)."""
    del world, loaded
    found = running(_folders())
    if not found:
        return [Diagnosis("ok", "environment", "no file starts code by itself when Python starts")]
    message = f"code runs at every start of this Python: {', '.join(found)}"
    return [Diagnosis("note", "environment", message, "See that you know these files; `uvx plenum-mcp` has none.")]


async def as_installed(world: World, loaded: Loaded) -> Sequence[Diagnosis]:
    """Whether our files are as their package brought them, and nobody else's packages have our names."""
    del world, loaded
    return await run_sync(lambda: list(_installed()))


def running(folders: Iterable[Path]) -> list[str]:
    """Names of the files there that run code at every start."""
    found = [file for folder in folders for file in (*sorted(folder.glob("*.pth")), *(folder / h for h in HOOKS))]
    return [file.name for file in found if file.is_file() and file.name not in OWN_PTH and _runs(file)]


def _folders() -> list[Path]:
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in dict.fromkeys([*map(sysconfig.get_path, ("purelib", "platlib")), *user])]


def _runs(file: Path) -> bool:
    if file.name in HOOKS:
        return True
    return any(line.startswith(("import ", "import\t")) for line in file.read_text("utf-8", "replace").splitlines())


def _installed() -> Iterator[Diagnosis]:
    try:
        package = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        yield Diagnosis("ok", "environment", "Plenum runs from its source: nothing to compare it with")
        return
    owners = metadata.packages_distributions()
    for other in sorted({o for p in PACKAGES for o in owners.get(p, ()) if o.lower().replace("_", "-") != NAME}):
        fix = f"pip uninstall {other}, then install Plenum anew; better: uvx plenum-mcp, or pipx install plenum-mcp"
        yield Diagnosis("warning", "environment", f"{other} brings packages with the names of Plenum's", fix)
    changed = altered(package)
    if changed:
        fix = f"See who changed them, then: pip install --force-reinstall {NAME}"
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        yield Diagnosis(
            "warning", "environment", f"files are not as installed: {', '.join(changed[:SHOWN])}{more}", fix
        )
    else:
        yield Diagnosis("ok", "environment", f"{NAME} {package.version} is as it was installed")


def altered(package: metadata.Distribution) -> list[str]:
    """Files of a package that are missing, or differ from what its RECORD says."""
    recorded = [file for file in package.files or () if file.hash is not None and file.hash.mode == "sha256"]
    return [
        str(file) for file in recorded if file.hash is not None and _digest(Path(str(file.locate()))) != file.hash.value
    ]


def _digest(file: Path) -> str:
    try:
        return urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
    except OSError:
        return ""
