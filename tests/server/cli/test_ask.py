"""Asking from a shell, as a person or a script would; on simulated providers."""

import json

import pytest


def test_the_answer_goes_to_stdout_and_the_receipt_to_stderr(plenum) -> None:
    done = plenum("ask", "--demo", "What is 6 times 7?", "--model", "sim/fast")
    assert done.returncode == 0 and done.stdout.startswith("[simulated]")
    assert "— sim/fast · $" in done.stderr


def test_json_is_one_document_with_the_receipt(plenum) -> None:
    found = json.loads(plenum("ask", "--demo", "--json", "--model", "sim/echo", "hello").stdout)
    assert found["provider"] == "sim" and "hello" in found["answer"] and found["receipt"]["simulated"] is True


def test_explain_prints_the_decision_and_asks_nobody(plenum) -> None:
    done = plenum("ask", "--demo", "--explain", "Prove that 2 is prime.")
    assert done.returncode == 0 and "strategy: balanced" in done.stdout and "1. sim" in done.stdout
    assert "embed" not in done.stdout.split("  not ")[0]


def test_a_provider_that_dies_in_mid_answer_is_replaced(plenum) -> None:
    found = json.loads(plenum("ask", "--demo", "--json", "--model", "relay", "Tell me about rivers.").stdout)
    outcomes = [attempt["outcome"] for attempt in found["receipt"]["attempts"]]
    assert outcomes == ["truncated", "ok"] and found["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("words", "environment", "status"),
    [
        (("hello", "--model", "nobody/has-this"), {}, 3),
        (("hello", "--demo", "--model", "sim/fast", "--max-cost-usd", "0"), {}, 5),
        (("hello", "--demo", "--model", "sim/fast"), {"PLENUM_BUDGET_DAILY_USD": "0"}, 5),
        (("hello", "--demo", "--strategy", "fastest"), {}, 2),
    ],
)
def test_exit_statuses_follow_the_contract(plenum, words, environment, status) -> None:
    done = plenum("ask", *words, PLENUM_PROVIDERS_AUTO="false", **environment)
    assert done.returncode == status and "Traceback" not in done.stderr, done.stderr


def test_models_lists_the_simulator_in_a_demo(plenum) -> None:
    names = [model["id"] for model in json.loads(plenum("models", "--demo", "--json").stdout)["models"]]
    assert "sim/fast" in names


def test_doctor_says_what_to_do_when_there_is_nobody_to_ask(plenum) -> None:
    done = plenum("doctor", PLENUM_PROVIDERS_AUTO="false")
    assert done.returncode == 2 and "plenum demo" in done.stdout


def test_doctor_is_content_with_a_key(plenum) -> None:
    done = plenum("doctor", OPENAI_API_KEY="canary")
    assert done.returncode == 0 and "openai" in done.stdout and "canary" not in done.stdout


def test_init_writes_a_valid_configuration_once(plenum) -> None:
    assert plenum("init").returncode == 0
    assert plenum("config", "check").returncode == 0
    assert plenum("init").returncode == 2
