"""`plenum keys` and `plenum audit` as a person or a script uses them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KEY = "sk-canary-0123456789abcdef"


@pytest.fixture
def plenum(tmp_path: Path):
    def run(*words: str, stdin: str = "", **environment: str):
        clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env = {**clean, "PYTHONPATH": str(ROOT), "PLENUM_HOME": str(tmp_path), **environment}
        env["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"  # this user's own keyring is not ours to fill
        command = [sys.executable, "-m", "server", *words]
        return subprocess.run(command, env=env, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=60)

    return run


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_stored_key_makes_its_provider_usable(plenum, tmp_path: Path) -> None:
    done = plenum("keys", "set", "openai", "--stdin", "--json", stdin=KEY + "\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stored"][0]["origin"] == "https://api.openai.com"
    found = json.loads(plenum("models", "--provider", "openai", "--json").stdout)["models"]
    assert found and all(model["status"] == "available" for model in found)
    assert b"canary" not in on_disk(tmp_path) and "canary" not in done.stdout + done.stderr


def test_the_providers_alias_names_the_same_key(plenum) -> None:
    plenum("keys", "set", "google", "--stdin", stdin="AIza" + "x" * 35)
    assert [k["provider"] for k in json.loads(plenum("keys", "list", "--json").stdout)["keys"]] == ["gemini"]
    assert plenum("keys", "remove", "google").returncode == 0
    assert plenum("keys", "remove", "google").returncode == 2


def test_an_unknown_provider_may_have_a_key_and_is_told_that_it_is_given_to_nobody(plenum) -> None:
    done = plenum("keys", "set", "demo", "--stdin", stdin="x" * 30)
    assert done.returncode == 0 and "given to nobody" in done.stderr


def test_a_changed_address_gets_no_old_key(plenum, tmp_path: Path) -> None:
    file = tmp_path / "plenum.toml"
    table = '[providers.alpha]\ndialect = "openai_chat"\napi_key_env = "ALPHA"\nbase_url = "https://{}.example/v1"\n'
    file.write_text(table.format("good"))
    assert plenum("keys", "set", "alpha", "--stdin", stdin=KEY).returncode == 0
    assert "alpha has no key" not in plenum("doctor").stdout
    file.write_text(table.format("evil"))
    assert "alpha has no key" in plenum("doctor").stdout


def test_all_keys_of_the_environment_are_taken_in_at_once(plenum) -> None:
    done = plenum("keys", "set", "--from-env", "--json", OPENAI_API_KEY=KEY, XAI_API_KEY="xai-" + "y" * 30)
    assert sorted(one["provider"] for one in json.loads(done.stdout)["stored"]) == ["openai", "xai"]
    assert plenum("keys", "set", "--from-env").returncode == 2


@pytest.mark.parametrize("bad", ["", "  \n", "a\nb", "x" * 9000])
def test_what_is_no_key_is_not_stored(plenum, tmp_path: Path, bad: str) -> None:
    assert plenum("keys", "set", "openai", "--stdin", stdin=bad).returncode == 2
    assert not (tmp_path / "vault.json").exists()


def test_an_odd_key_is_stored_with_a_warning(plenum) -> None:
    done = plenum("keys", "set", "anthropic", "--stdin", stdin="AIza" + "x" * 35)
    assert done.returncode == 0 and "sk-ant-" in done.stderr and "AIza" not in done.stderr


def test_a_key_is_never_taken_from_the_arguments(plenum) -> None:
    assert plenum("keys", "set", "openai", KEY).returncode == 2


def test_rotation_is_listed_with_its_grace(plenum) -> None:
    plenum("keys", "set", "openai", "--stdin", stdin=KEY)
    assert plenum("keys", "rotate", "openai", "--stdin", stdin=KEY + "2").returncode == 0
    old, new = json.loads(plenum("keys", "list", "--json").stdout)["keys"]
    assert "usable until" in old["state"] and new["state"] == "in force"


def test_doctor_warns_of_a_key_file_and_of_a_vault_that_does_not_open(plenum, tmp_path: Path) -> None:
    plenum("keys", "set", "openai", "--stdin", stdin=KEY)
    assert "keys rekey" in plenum("doctor").stdout
    assert plenum("keys", "rekey", PLENUM_PASSPHRASE="correct horse").returncode == 0
    assert "Set PLENUM_PASSPHRASE" in plenum("doctor").stdout
    (tmp_path / "vault.json").chmod(0o644)
    assert "chmod 600" in plenum("doctor").stdout


def test_every_change_of_a_key_is_in_the_audit_log_and_the_log_holds(plenum) -> None:
    plenum("keys", "set", "openai", "--stdin", stdin=KEY)
    plenum("keys", "rotate", "openai", "--stdin", stdin=KEY + "2")
    plenum("keys", "remove", "openai")
    shown = plenum("audit", "show", "--json")
    lines = json.loads(shown.stdout)["lines"]
    assert [line["what"] for line in lines] == ["key set", "key rotated", "key removed"]
    assert "canary" not in shown.stdout
    head = json.loads(plenum("audit", "verify", "--json").stdout)["head"]
    assert plenum("audit", "verify", "--head", head).returncode == 0
    assert plenum("audit", "verify", "--head", "0" * 64).returncode == 1
