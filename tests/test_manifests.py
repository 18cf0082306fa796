"""What registries and hosts read says the truth: one version, one command, no secret, and valid by its own tool."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).parent / "conformance"))

import node

from server import VERSION

ROOT = Path(__file__).parents[1]

MANIFESTS = (
    "packaging/mcpb/manifest.json",
    "packaging/claude-plugin/.claude-plugin/plugin.json",
    "packaging/gemini/gemini-extension.json",
    "packaging/server.json",
)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_has_our_version_and_no_secret(name: str) -> None:
    text = (ROOT / name).read_text()
    assert json.loads(text)["version"] == VERSION
    assert "sk-" not in text


def test_the_registry_entry_keeps_to_the_registrys_bounds() -> None:
    entry = json.loads((ROOT / "packaging/server.json").read_text())
    assert len(entry["description"]) <= 100
    assert entry["packages"][0]["version"] == VERSION
    assert f"mcp-name: {entry['name']}" in (ROOT / "README.md").read_text()


def test_the_bundle_names_the_tools_that_are_served_and_pins_our_version() -> None:
    bundle = json.loads((ROOT / "packaging/mcpb/manifest.json").read_text())
    assert [tool["name"] for tool in bundle["tools"]] == ["generate", "fuse", "list_models", "costs"]
    pinned = tomllib.loads((ROOT / "packaging/mcpb/pyproject.toml").read_text())["project"]["dependencies"]
    assert pinned == [f"plenum-mcp=={VERSION}"]


def test_every_form_of_the_example_is_a_host_entry_without_a_secret() -> None:
    servers = json.loads((ROOT / "mcp.json.example").read_text())["mcpServers"]
    assert len(servers) >= 4
    for entry in servers.values():
        assert ("command" in entry) is not ("url" in entry)
        values = [*entry.get("env", {}).values(), *entry.get("headers", {}).values()]
        assert all("$" in value or value.startswith("~") for value in values)


@pytest.mark.soak
def test_the_bundle_is_valid_and_packs(tmp_path: Path) -> None:
    try:
        script = node.package("@anthropic-ai/mcpb") / "dist/cli/cli.js"
    except node.Unreachable as why:
        pytest.skip(str(why))
    folder = ROOT / "packaging/mcpb"
    for command in (["validate", str(folder / "manifest.json")], ["pack", str(folder), str(tmp_path / "plenum.mcpb")]):
        done = subprocess.run(
            [str(node.node()), str(script), *command], capture_output=True, text=True, env=dict(os.environ), timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
def test_the_registry_entry_is_valid_by_the_registrys_released_schema(tmp_path: Path) -> None:
    """The registry publishes its schema on the web alone; skillsaw's wheel carries the released ones unchanged."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path), "skillsaw==0.22.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"no package index: {done.stderr[-300:]}")
    entry = json.loads((ROOT / "packaging/server.json").read_text())
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        schema = json.loads(wheel.read("skillsaw/schemas/mcp_registry/v2025_12_11/server.schema.json"))
    assert schema["$id"] == entry["$schema"]
    checker = jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())
    assert [fault.message for fault in checker.iter_errors(entry)] == []
    assert [fault.message for fault in checker.iter_errors({**entry, "version": 1})]
