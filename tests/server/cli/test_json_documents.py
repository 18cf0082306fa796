"""With `--json` every command leaves one JSON document on stdout, whatever comes of it (contract §1)."""

import json
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("nonsense",), 2, "invalid_request"),
        (("ask",), 2, "invalid_request"),
        (("ask", "hello", "--frob"), 2, "invalid_request"),
        (("ask", "hello", "--max-tokens", "many"), 2, "invalid_request"),
        (("ask", "hello", "--model", "nobody/has-this"), 3, "no_model"),
        (("forget", "g_nobody"), 2, "invalid_request"),
        (("feedback", "g_nobody", "--right"), 2, "invalid_request"),
        (("migrate", "nowhere.yaml"), 2, "invalid_request"),
        (("breaker", "show"), 2, "invalid_request"),
        (("config", "trust"), 2, "invalid_request"),
    ],
)
def test_a_failure_is_a_document_too(plenum, words, status, code) -> None:
    done = plenum(*words, "--json", PLENUM_PROVIDERS_AUTO="false")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (status, code)
    assert error["message"] and error["message"].splitlines()[0] in done.stderr


def test_a_batch_is_one_document_with_its_results(plenum, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two"}\nnonsense\n')
    told = json.loads(plenum("batch", "in.jsonl", "--demo", "--json", "--model", "sim/fast").stdout)
    assert (told["answered"], told["failed"], told["codes"]) == (2, 1, {"invalid_request": 1})
    assert sorted(result["line"] for result in told["results"]) == [1, 2, 3]
    whole = json.loads(plenum("batch", "in.jsonl", "--demo", "--json", "--model", "sim/fast", "-o", "out.jsonl").stdout)
    assert whole["results"] == [] and len((tmp_path / "out.jsonl").read_text().splitlines()) == 3


def test_help_stays_help(plenum) -> None:
    assert "Usage" in plenum("ask", "--help", "--json").stdout
