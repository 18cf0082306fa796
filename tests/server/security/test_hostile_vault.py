"""Vault files nobody wrote here (guide §8.3): each is a fault in words, and no key comes out of any of them."""

import json
from pathlib import Path

import pytest

from server.security.faults import VaultFault
from server.security.files import write_private

KEY, PLACE = "sk-canary-0123456789abcdef", ("openai", "https://api.openai.com")
HUGE = 1 << 40


def entry(**change):
    return lambda d: {**d, "entries": [{**d["entries"][0], **change}]}


def without(key: str):
    return lambda d: {k: v for k, v in d.items() if k != key}


def entry_without(key: str):
    return lambda d: {**d, "entries": [{k: v for k, v in d["entries"][0].items() if k != key}]}


def flipped(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


FILES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "no JSON": b"{",
    "text": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "a string": b'"vault"',
    "nothing in it": b"{}",
    "NUL": b"\x00" * 64,
    "no UTF-8": b"\xff\xfe{}",
    "UTF-16": '{"entries": []}'.encode("utf-16"),
    "deep": b"[" * 50_000 + b"]" * 50_000,
    "braces": b'{"entries":' * 20_000,
    "larger than any": b" " * (5 << 20),
    "a number of 5000 digits": b'{"version":' + b"1" * 5000 + b"}",
}

CHANGES = {
    "a key more": lambda d: {**d, "evil": 1},
    **{f"no {key}": without(key) for key in ("id", "entries", "lock")},
    "entries null": lambda d: {**d, "entries": None},
    "entries an object": lambda d: {**d, "entries": {}},
    "entries text": lambda d: {**d, "entries": "x"},
    "an entry null": lambda d: {**d, "entries": [None]},
    "an entry a list": lambda d: {**d, "entries": [[]]},
    "another vault's id": lambda d: {**d, "id": "0" * len(d["id"])},
    "id null": lambda d: {**d, "id": None},
    "id a number": lambda d: {**d, "id": 7},
    "a version of tomorrow": lambda d: {**d, "version": 99} if "version" in d else {**d, "format": 99},
    **{f"an entry without {key}": entry_without(key) for key in ("provider", "origin", "version", "dek", "sealed")},
    "another provider": entry(provider="anthropic"),
    "another origin": entry(origin="https://evil.example"),
    "an origin of nothing": entry(origin="https://api.openai.com.evil.example"),
    "another version": entry(version=2),
    "a version of nothing": entry(version=0),
    "a version below nothing": entry(version=-1),
    "a version in words": entry(version="one"),
    "a version beyond all": entry(version=HUGE),
    "a provider of nothing": entry(provider=""),
    "a provider null": entry(provider=None),
    "a data key null": entry(dek=None),
    "a data key of nothing": entry(dek=""),
    "a data key that is no base64": entry(dek="%%%"),
    "a data key too short": entry(dek="AAAA"),
    "sealed null": entry(sealed=None),
    "sealed nothing": entry(sealed=""),
    "sealed no base64": entry(sealed="%%%"),
    "sealed too short": entry(sealed="AAAA"),
    "created null": entry(created=None),
    "created in words": entry(created="yesterday"),
    "an entry with a key more": entry(evil=1),
    "dek and sealed swapped": lambda d: {
        **d, "entries": [{**d["entries"][0], "dek": d["entries"][0]["sealed"], "sealed": d["entries"][0]["dek"]}]
    },
    "a flipped data key": lambda d: entry(dek=flipped(d["entries"][0]["dek"]))(d),
    "a flipped secret": lambda d: entry(sealed=flipped(d["entries"][0]["sealed"]))(d),
    "a lock null": lambda d: {**d, "lock": None},
    "a lock of text": lambda d: {**d, "lock": "file"},
    "a lock of nothing": lambda d: {**d, "lock": {}},
    "a lock nobody has": lambda d: {**d, "lock": {**d["lock"], "kind": "magic"}},
    "a lock null kind": lambda d: {**d, "lock": {**d["lock"], "kind": None}},
    "a lock with a key more": lambda d: {**d, "lock": {**d["lock"], "evil": 1}},
    "a passphrase lock without its numbers": lambda d: {**d, "lock": {"kind": "passphrase"}},
    "a derivation of a terabyte": lambda d: {
        **d, "lock": {"kind": "passphrase", "kdf": {"kind": "argon2id", "salt": "c2FsdHNhbHQ=", "memory_kib": HUGE}}
    },
    "a derivation of a million passes": lambda d: {
        **d, "lock": {"kind": "passphrase", "kdf": {"kind": "argon2id", "salt": "c2FsdHNhbHQ=", "passes": 10**6}}
    },
    "a lock of a foreign KMS": lambda d: {**d, "lock": {"kind": "kms", "kms": "https://evil.example/v1/k"}},
}  # fmt: skip


def true_one(make_vault, folder: Path) -> dict:
    make_vault().set(*PLACE, KEY)
    return json.loads((folder / "vault.json").read_text())


def no_key_comes_out(make_vault) -> str:
    try:
        found = make_vault().open()
    except VaultFault as fault:
        return str(fault)
    assert KEY not in found.values(), "a changed file gave the key away"
    return ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_vault_is_a_fault(make_vault, tmp_path: Path, name: str) -> None:
    write_private(tmp_path / "vault.json", FILES[name])
    with pytest.raises(VaultFault) as caught:
        make_vault().open()
    assert len(str(caught.value)) < 500 and caught.value.hint


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_vault_is_a_fault_or_gives_nothing(make_vault, tmp_path: Path, name: str) -> None:
    before = true_one(make_vault, tmp_path)
    assert make_vault().open() == {PLACE: KEY}
    after = CHANGES[name](before)
    assert after != before
    write_private(tmp_path / "vault.json", json.dumps(after).encode())
    told = no_key_comes_out(make_vault)
    assert KEY not in told and "Traceback" not in told and len(told) < 500


def test_there_are_sixty_of_them() -> None:
    assert len(FILES) + len(CHANGES) >= 60
