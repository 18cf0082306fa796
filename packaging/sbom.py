"""`make sbom`: what Plenum stands on, as CycloneDX JSON: every package of a lock file with its hashes, its licence and
what needs it, as far as it is installed here. The same lock file gives the same document (but for the time).
"""

import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = SchemaVersion.V1_6
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?:\s*;\s*(.+?))?\s*$")
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a lock file: what may be installed, where, and by which hashes it is known."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def pins(lock: str) -> Iterator[Pin]:
    """The pins of a lock file. Raises ValueError for a line that is none, or has no hash."""
    for line in lock.replace("\\\n", " ").splitlines():
        said, *hashes = line.split(" --hash=sha256:")
        if not said.strip() or said.startswith("#"):
            continue
        found = _PIN.match(said.strip())
        if found is None or not hashes:
            raise ValueError(f"{said.strip()[:60]} is not pinned by version and hash")
        yield Pin(normal(found[1]), found[2], found[3] or "", tuple(each.strip() for each in hashes))


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bill(lock: str, name: str, version: str, direct: Sequence[str]) -> Bom:
    """The document for a product of this name and version, whose own requirements are `direct`."""
    found = {pin.name: _component(pin) for pin in pins(lock)}
    product = Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=f"{name}=={version}",
        purl=_purl(name, version),
    )
    bom = Bom(components=found.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{name}=={version}\n{lock}"))
    bom.metadata.component = product
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or _now()), UTC)
    bom.register_dependency(product, [found[each] for each in direct if each in found])
    for each, component in found.items():
        bom.register_dependency(component, [found[other] for other in _needed(each) if other in found])
    return bom


def _component(pin: Pin) -> Component:
    distribution = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(_purl(pin.name, pin.version))),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes],
    )
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=_purl(pin.name, pin.version),
        external_references=[distribution],
        properties=[Property(name="plenum:marker", value=pin.marker)] if pin.marker else [],
        licenses=[LicenseFactory().make_from_string(each) for each in _licence(pin.name)],
    )


def _purl(name: str, version: str) -> PackageURL:
    return PackageURL("pypi", None, name, version)


def _licence(name: str) -> list[str]:
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return []
    said = about.get("License-Expression") or about.get("License") or ""
    return [said] if 0 < len(said) <= 64 and "\n" not in said else []  # older packages put the whole text there


def _needed(name: str) -> Iterator[str]:
    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in required:
        if "extra ==" not in line and (found := _NAME.match(line)):
            yield normal(found[0])


def _now() -> float:
    return datetime.now(UTC).timestamp()


def main(lock: Path, out: Path) -> None:
    """Write and validate. Raises SystemExit with what is wrong."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version = re.search(r'VERSION = "([^"]+)"', (ROOT / "server/__init__.py").read_text("utf-8"))
    direct = [normal(found[0]) for line in project["dependencies"] if (found := _NAME.match(line))]
    try:
        bom = bill(lock.read_text("utf-8"), project["name"], version[1] if version else "0", direct)
    except ValueError as fault:
        raise SystemExit(f"{lock}: {fault}; run `make lock`.") from None
    text = make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string(indent=2)
    if fault := JsonStrictValidator(SCHEMA).validate_str(text):
        raise SystemExit(f"The document is no CycloneDX {SCHEMA.to_version()}: {fault}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n", "utf-8")
    sys.stdout.write(f"{out}: {len(bom.components)} components\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
