"""Whether a wheel is this repository and nothing else, and whether everything that is installed is pinned by its hash.

How LiteLLM's users were hit (PYSEC-2026-2): the repository was clean, the artifact held one file more, a `.pth`, which
runs at every start of Python. `python packaging/supply.py dist/*.whl`, in CI before anything is published.
"""

import configparser
import hashlib
import stat
import sys
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("providers", "routing", "server")
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE"}


def faults(wheel: Path, root: Path = ROOT) -> Iterator[str]:
    """What is wrong with this wheel, in words; nothing where it is what the repository says."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if len(names) != len(set(names)):
            yield "a name stands twice in it: what is installed depends on who unpacks it"
        for entry in archive.infolist():
            yield from _odd(entry, archive.read(entry), root)
        yield from _missing(set(names), root)
        yield from _commands(archive, names, root)
        yield from _record(archive, names)


def _odd(entry: zipfile.ZipInfo, content: bytes, root: Path) -> Iterator[str]:
    path = PurePosixPath(entry.filename)
    top, _, rest = entry.filename.partition("/")
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
        yield f"{entry.filename} leads out of the folder it is unpacked in"
    elif stat.S_ISLNK(entry.external_attr >> 16):
        yield f"{entry.filename} is a link"
    elif top.endswith(".dist-info"):
        if rest not in ABOUT:
            yield f"{entry.filename} is not expected there"
    elif top not in PACKAGES:
        yield f"{entry.filename} is outside of our packages" + (": it runs by itself" if path.suffix == ".pth" else "")
    elif not (root / path).is_file():
        yield f"{entry.filename} is not in the repository"
    elif (root / path).read_bytes() != content:
        yield f"{entry.filename} is not as in the repository"


def _missing(names: set[str], root: Path) -> Iterator[str]:
    for top in PACKAGES:
        for file in sorted((root / top).rglob("*")):
            name = file.relative_to(root).as_posix()
            if file.is_file() and "__pycache__" not in file.parts and name not in names:
                yield f"{name} is missing"


def _commands(archive: zipfile.ZipFile, names: list[str], root: Path) -> Iterator[str]:
    found = next((name for name in names if name.endswith(".dist-info/entry_points.txt")), None)
    table = configparser.ConfigParser(delimiters=("=",))
    table.read_string(archive.read(found).decode() if found else "")
    said = {group: dict(table[group]) for group in table.sections()}
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    if said != {"console_scripts": project["scripts"]}:
        yield f"its commands and entry points are not those of pyproject.toml: {sorted(said)}"


def _record(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    record = next((name for name in names if name.endswith(".dist-info/RECORD")), None)
    lines = archive.read(record).decode().splitlines() if record else []
    listed = {name: digest for name, digest, _ in (line.rsplit(",", 2) for line in lines)}
    for name in names:
        if name == record:
            continue
        digest = urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
        if listed.get(name) != f"sha256={digest}":
            yield f"{name} is not in RECORD as it is"


def unlocked(folder: Path) -> Iterator[str]:
    """Lines of requirement files that would install something not known by its hash."""
    for file in sorted(folder.glob("*.txt")):
        for line in file.read_text("utf-8").replace("\\\n", " ").splitlines():
            said = line.strip()
            if (
                said
                and not said.startswith("#")
                and ("==" not in said or "--hash=sha256:" not in said or "://" in said)
            ):
                yield f"{file.name}: {said.split(' ')[0]} is not pinned by version and hash"


def main(wheels: list[str]) -> int:
    """0 where nothing is wrong."""
    found = [f"{Path(wheel).name}: {fault}" for wheel in wheels for fault in faults(Path(wheel))]
    found += unlocked(ROOT / "requirements")
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{len(wheels)} wheel(s), {len(found)} fault(s)\n")
    return 1 if found or not wheels else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
