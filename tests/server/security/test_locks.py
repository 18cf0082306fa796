"""What the vault opens with: KMS, keyring, passphrase, file – in this order, and each can become another."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.security.faults import VaultFault
from server.security.locks import Kdf, derive

ROOT = Path(__file__).parents[3]
OPENAI = "openai", "https://api.openai.com"
KEY = "sk-canary-0123456789abcdef"


def test_the_keyring_comes_first(make_vault, ring) -> None:
    vault = make_vault(ring=ring, PLENUM_PASSPHRASE="correct horse")
    vault.set(*OPENAI, KEY)
    assert vault.lock().kind == "keyring" and len(ring.items) == 1
    assert make_vault(ring=ring).open() == {OPENAI: KEY}


def test_a_keyring_that_forgets_is_not_used(make_vault, ring) -> None:
    ring.set_password = lambda *_: None
    vault = make_vault(ring=ring)
    vault.set(*OPENAI, KEY)
    assert vault.lock().kind == "file"


def test_a_keyring_that_fails_is_not_used(make_vault, ring) -> None:
    def locked(*_):
        raise RuntimeError("locked")

    ring.set_password = locked
    vault = make_vault(ring=ring)
    vault.set(*OPENAI, KEY)
    assert vault.lock().kind == "file"


def test_a_keyring_out_of_reach_says_what_to_do(make_vault, ring) -> None:
    make_vault(ring=ring).set(*OPENAI, KEY)
    with pytest.raises(VaultFault, match="keyring"):
        make_vault().open()


def test_a_passphrase_opens_and_a_wrong_one_does_not(make_vault) -> None:
    make_vault(PLENUM_PASSPHRASE="correct horse").set(*OPENAI, KEY)
    assert make_vault(PLENUM_PASSPHRASE="correct horse").open() == {OPENAI: KEY}
    with pytest.raises(VaultFault, match="PLENUM_PASSPHRASE"):
        make_vault(PLENUM_PASSPHRASE="wrong").open()
    with pytest.raises(VaultFault, match="Set PLENUM_PASSPHRASE"):
        make_vault().open()


def test_a_file_is_the_last_resort_and_private(make_vault, tmp_path: Path) -> None:
    vault = make_vault()
    vault.set(*OPENAI, KEY)
    (file,) = tmp_path.glob("vault-*.key")
    assert vault.lock().kind == "file" and file.stat().st_mode & 0o077 == 0
    file.chmod(0o644)
    with pytest.raises(VaultFault, match="chmod 600"):
        make_vault().open()


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31, "é" * 32])
def test_a_damaged_key_file_is_a_fault(make_vault, tmp_path: Path, content: str) -> None:
    make_vault().set(*OPENAI, KEY)
    (file,) = tmp_path.glob("vault-*.key")
    file.write_text(content)
    with pytest.raises(VaultFault, match="damaged"):
        make_vault().open()


def test_rekeying_moves_every_key_and_discards_the_old_way_in(make_vault, ring, tmp_path: Path) -> None:
    make_vault().set(*OPENAI, KEY)
    make_vault().set("b", "https://b.example", KEY + "b")
    assert make_vault(PLENUM_PASSPHRASE="p").rekey().kind == "passphrase"
    assert list(tmp_path.glob("vault-*.key")) == []
    assert make_vault(ring=ring, PLENUM_PASSPHRASE="p").rekey().kind == "keyring"
    assert make_vault(ring=ring).open() == {OPENAI: KEY, ("b", "https://b.example"): KEY + "b"}
    before = dict(ring.items)
    make_vault(ring=ring).rekey()
    assert len(ring.items) == 1 and ring.items != before


def test_derivations_at_once_neither_fail_nor_wait_for_each_other_for_ever() -> None:
    """In a process of its own: what goes wrong here hangs in C, where nothing can stop it."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from server.security.locks import Kdf, derive\n"
        "kdf = Kdf(salt=b'MDAwMDAwMDAwMDAwMDAwMA==', memory_kib=8 << 10, passes=1, lanes=4)\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(len(set(pool.map(lambda _: derive('x', kdf), range(12)))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.stdout == "1\n", done.stderr


def test_scrypt_stands_in_for_argon2() -> None:
    kdf = Kdf.model_construct(kind="scrypt", salt=b"s" * 16, memory_kib=8 << 10)
    assert len(derive("p", kdf)) == 32 and derive("p", kdf) != derive("q", kdf)


@pytest.mark.parametrize("field", [{"memory_kib": 1 << 30}, {"passes": 10**6}, {"lanes": 999}, {"kind": "md5"}])
def test_a_forged_header_cannot_ask_for_a_gigantic_derivation(field) -> None:
    with pytest.raises(ValidationError):
        Kdf.model_validate({"salt": "c2FsdHNhbHQ=", **field})


def test_a_forged_header_cannot_choose_the_kms(make_vault, tmp_path: Path) -> None:
    make_vault().set(*OPENAI, KEY)
    file = tmp_path / "vault.json"
    forged = '"kind":"kms","kms":"https://evil.example/v1/projects/p/cryptoKeys/k"'
    text = file.read_text().replace('"kind": "file"', '"kind":"file"')
    text = text.replace('"kms": null', '"kms":null').replace(',\n  "kms":null', "").replace('"kind":"file"', forged)
    file.write_text(text)
    with pytest.raises(VaultFault, match="another KMS"):
        make_vault().open()
