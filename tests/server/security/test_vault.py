"""Keys at rest: sealed, bound to where they belong, changed atomically, and gone when they are removed."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.security.box import Address, LocalWrap, seal, unseal
from server.security.faults import VaultFault
from server.security.files import read_private, write_private
from server.security.vault import DAY_S, GRACE_S

OPENAI = "openai", "https://api.openai.com"
KEY = "sk-canary-0123456789abcdef"


def test_a_stored_key_comes_back_for_its_provider_and_origin_only(make_vault) -> None:
    make_vault().set(*OPENAI, KEY)
    assert make_vault().open() == {OPENAI: KEY}


def test_nothing_of_a_key_can_be_read_on_the_disk(make_vault, tmp_path: Path) -> None:
    make_vault().set(*OPENAI, KEY)
    make_vault().rotate(*OPENAI, KEY + "-new")
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("field", ["provider", "origin", "version"])
def test_an_entry_moved_to_another_place_does_not_open(make_vault, tmp_path: Path, field: str) -> None:
    make_vault().set(*OPENAI, KEY)
    file = tmp_path / "vault.json"
    document = json.loads(file.read_text())
    document["entries"][0][field] = {"provider": "evil", "origin": "https://evil.example", "version": 2}[field]
    file.write_text(json.dumps(document))
    with pytest.raises(VaultFault, match="does not open") as caught:
        make_vault().open()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("field", ["dek", "sealed"])
def test_a_flipped_bit_is_noticed(make_vault, tmp_path: Path, field: str) -> None:
    import base64

    make_vault().set(*OPENAI, KEY)
    file = tmp_path / "vault.json"
    document = json.loads(file.read_text())
    raw = bytearray(base64.b64decode(document["entries"][0][field]))
    raw[-1] ^= 1
    document["entries"][0][field] = base64.b64encode(raw).decode()
    file.write_text(json.dumps(document))
    with pytest.raises(VaultFault, match="does not open"):
        make_vault().open()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_others_can_read_is_refused(make_vault, tmp_path: Path, mode: int) -> None:
    make_vault().set(*OPENAI, KEY)
    (tmp_path / "vault.json").chmod(mode)
    with pytest.raises(VaultFault, match="chmod 600"):
        make_vault().open()


def test_a_symlink_and_a_folder_are_no_vaults(tmp_path: Path) -> None:
    write_private(tmp_path / "real", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder", "absent"):
        with pytest.raises(VaultFault):
            read_private(tmp_path / name)


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "vault.json"
    write_private(file, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaultFault, match="No space"):
        write_private(file, b"new")
    assert file.read_bytes() == b"old" and [f.name for f in tmp_path.iterdir()] == ["vault.json"]


def test_a_rotated_key_leaves_the_old_one_usable_for_seven_days(make_vault, clock) -> None:
    vault = make_vault()
    vault.set(*OPENAI, "old-" + KEY)
    vault.rotate(*OPENAI, "new-" + KEY)
    assert vault.open()[OPENAI].startswith("new-")
    assert vault.refuse(*OPENAI) is True  # the provider said 401 to the new one
    assert vault.open()[OPENAI].startswith("old-")
    clock.now += GRACE_S - 1
    assert vault.open()[OPENAI].startswith("old-")
    clock.now += 2
    assert vault.open()[OPENAI].startswith("new-")


def test_a_refused_key_without_an_elder_stays(make_vault) -> None:
    vault = make_vault()
    vault.set(*OPENAI, KEY)
    assert vault.refuse(*OPENAI) is False and vault.open() == {OPENAI: KEY}


def test_setting_a_key_drops_the_earlier_ones_and_counts_on(make_vault) -> None:
    vault = make_vault()
    vault.set(*OPENAI, "a" * 20)
    vault.rotate(*OPENAI, "b" * 20)
    assert vault.set(*OPENAI, "c" * 20).version == 3
    assert [entry.version for entry in vault.entries()] == [3]


def test_versions_out_of_grace_go_at_the_next_rotation(make_vault, clock) -> None:
    vault = make_vault()
    vault.set(*OPENAI, "a" * 20)
    vault.rotate(*OPENAI, "b" * 20)
    clock.now += 8 * DAY_S
    vault.rotate(*OPENAI, "c" * 20)
    assert [entry.version for entry in vault.entries()] == [2, 3]


def test_removing_forgets_every_version(make_vault) -> None:
    vault = make_vault()
    assert vault.remove("openai") == 0
    vault.set(*OPENAI, KEY)
    vault.rotate(*OPENAI, KEY)
    vault.set("other", "https://o.example", KEY)
    assert vault.remove("openai") == 2 and list(vault.open()) == [("other", "https://o.example")]


def test_a_key_without_an_address_is_given_to_nobody(make_vault) -> None:
    vault = make_vault()
    vault.set("demo", "", KEY)
    assert vault.open() == {} and len(vault.entries()) == 1


def test_two_writers_lose_nothing(make_vault) -> None:
    make_vault().set("first", "https://f.example", KEY)
    threads = [
        threading.Thread(target=make_vault().set, args=(f"p{n}", f"https://{n}.example", KEY + str(n)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(make_vault().open()) == 9


@given(provider=st.text(min_size=1), origin=st.text(), secret=st.text(min_size=1), other=st.text(min_size=1))
@settings(max_examples=50)
def test_any_text_is_sealed_and_opened_at_its_own_address(provider, origin, secret, other) -> None:
    wrap = LocalWrap(os.urandom(32))
    secret = secret.encode("utf-8", "replace").decode()
    address = Address("v", provider, origin, 1)
    box = seal(secret, address, wrap)
    assert unseal(box, address, wrap) == secret
    if other != provider:
        with pytest.raises(VaultFault):
            unseal(box, Address("v", other, origin, 1), wrap)


@given(content=st.binary(max_size=400))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_the_file_are_a_fault_not_a_crash(make_vault, tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / "vault.json", content)
    with pytest.raises(VaultFault):
        make_vault().open()


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_change_to_a_true_file_is_a_fault_or_changes_nothing(make_vault, tmp_path: Path, data) -> None:
    file = tmp_path / "vault.json"
    file.unlink(missing_ok=True)
    make_vault().set(*OPENAI, KEY)
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    write_private(file, bytes(content))
    try:
        found = make_vault().open()
    except VaultFault:
        return
    assert set(found.values()) <= {KEY} and set(found) <= {OPENAI}
