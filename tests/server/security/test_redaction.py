"""Keys out of every text that leaves, however they are written."""

import base64
import logging
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.security.redaction import MARK, Redactor, encodings, install

ROOT = Path(__file__).parents[3]
KEY = "canary/with+odd=chars&0123456789"


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"ab{KEY}yz".encode()).decode(),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
        KEY[::-1],
    ],
)
def test_a_known_key_is_hidden_in_every_encoding(written: str) -> None:
    safe = Redactor([KEY]).text(f"before {written} after")
    assert MARK in safe and "canary" not in safe and written not in safe
    assert safe.startswith("before ") and safe.endswith(" after")


@given(st.binary(max_size=5), st.binary(max_size=5), st.text("abcdefgh0123456789+/-_", min_size=16, max_size=40))
def test_base64_around_a_key_never_hides_it(before: bytes, after: bytes, key: str) -> None:
    text = base64.b64encode(before + key.encode() + after).decode()
    safe = Redactor([key]).text(text)
    assert MARK in safe
    left = "".join(c for part in safe.split(MARK) for c in part)
    assert len(left) <= len(before) * 2 + len(after) * 2 + 12  # what remains is the neighbours'


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijklmnopqrstuv",
        "sk-ant-api03-abcdefghijklmnopqrstuv",
        "sk-proj-abcdefghijklmnopqrstuv",
        "xai-abcdefghijklmnopqrstuv",
        "gsk_abcdefghijklmnopqrstuv",
        "AIza" + "a" * 35,
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_" + "a" * 36,
        "hf_abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmno",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key_is_hidden_though_nobody_knows_it(secret: str) -> None:
    assert Redactor().text(f"x {secret} y") == f"x {MARK} y"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer s3cr3t-value-of-nobody",
        '{"x-api-key": "s3cr3t-value-of-nobody"}',
        "GET https://h.example/v1?key=s3cr3t-value-of-nobody&alt=sse",
        "postgresql://user:s3cr3t-value-of-nobody@h.example/d",
    ],
)
def test_headers_and_urls_lose_their_credentials(line: str) -> None:
    safe = Redactor().text(line)
    assert "s3cr3t" not in safe and MARK in safe


@pytest.mark.parametrize("text", ["the task-list is ready", "sk-", "ask-me-anything-about-it", "key: value", "a" * 500])
def test_plain_words_are_left_alone(text: str) -> None:
    assert Redactor(["short"]).text(text) == text


@given(st.text())
def test_redaction_takes_any_text(text: str) -> None:
    assert Redactor([KEY]).text(text) == Redactor([KEY]).text(Redactor([KEY]).text(text))


def test_answers_lose_known_keys_but_keep_patterns() -> None:
    redactor = Redactor([KEY])
    tree = redactor.tree({"a": [f"{KEY}!", 1, None], KEY: "sk-abcdefghijklmnopqrstuv"})
    assert tree == {"a": [f"{MARK}!", 1, None], MARK: "sk-abcdefghijklmnopqrstuv"}


def test_long_hostile_text_takes_no_long_time() -> None:
    import time

    hostile = ("sk-" * 50_000) + ("eyJ" + "a" * 3000) * 50 + ("-----BEGIN " * 10_000) + "://a:" * 20_000
    began = time.process_time()
    Redactor([KEY]).text(hostile)
    assert time.process_time() - began < 5


def test_short_secrets_would_maim_words_and_are_not_replaced() -> None:
    assert encodings("abc") == set() or all(len(form) >= 8 for form in encodings("abc"))


def test_every_logger_is_safe_whatever_its_handler(logs_restored, capsys) -> None:
    install({"SOME_API_KEY": "canary0123456789abcdef"})
    log = logging.getLogger("of.some.library")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    try:
        log.warning("sent %s to %r", "canary0123456789abcdef", {"k": "canary0123456789abcdef"})
        log.warning("wrong %d", "canary0123456789abcdef")
        try:
            raise ValueError("https://h.example?key=canary0123456789abcdef")
        except ValueError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
    err = capsys.readouterr().err
    assert "canary" not in err and "ValueError" in err and "test_redaction.py" in err


def test_http_libraries_do_not_tell_urls(logs_restored) -> None:
    install({})
    for name in ("httpx", "httpx2", "httpcore", "aiohttp"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_last_words_name_the_place_and_not_the_text(tmp_path: Path) -> None:
    script = """
import ctypes, os, resource, sys, threading
from server.security.process import harden
harden(os.environ)
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
assert sys.platform != "linux" or ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
def fail(): raise ValueError("canary0123456789abcdef")
thread = threading.Thread(target=fail); thread.start(); thread.join()
class Broken:
    def __del__(self): fail()
Broken()
fail()
"""
    env = {"PYTHONPATH": str(ROOT), "X_API_KEY": "canary0123456789abcdef"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "canary" not in done.stderr and done.stderr.count("ValueError") == 3
