"""The command line's own rules: exit statuses, `--json` anywhere, no traceback."""

import json
import socket
import tomllib
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[3]


def test_an_unknown_command_is_wrong_usage(plenum) -> None:
    done = plenum("nonsense")
    assert done.returncode == 2 and "nonsense" in done.stderr and "Traceback" not in done.stderr


def test_version_is_answered_by_every_command(plenum) -> None:
    assert json.loads(plenum("config", "check", "--version", "--json").stdout)["name"] == "plenum"


def test_a_wrong_configuration_names_the_line_and_exits_with_two(plenum, tmp_path: Path) -> None:
    (tmp_path / "plenum.toml").write_text("[routing]\nstratgy = 1\n")
    done = plenum("config", "check", "--json")
    (finding,) = json.loads(done.stdout)["findings"]
    assert done.returncode == 2 and (finding["line"], finding["nearest"]) == (2, "strategy")


def test_show_hides_every_secret(plenum, tmp_path: Path) -> None:
    text = '[providers.x]\napi_key = "canary-1"\nheaders = { a = "canary-2" }\n[http]\ntokens = ["canary-3"]\n'
    (tmp_path / "plenum.toml").write_text(text + '[store]\nurl = "postgresql://u:canary-4@h/d"\n')
    done = plenum("config", "show", "--json")
    assert done.returncode == 0 and "canary" not in done.stdout + done.stderr


def test_show_has_the_defaults_too_and_providers_as_in_the_file(plenum, tmp_path: Path) -> None:
    (tmp_path / "plenum.toml").write_text("[providers.openai]\nweight = 3\n")
    told = json.loads(plenum("config", "show", "--json", PLENUM_RETRY_ATTEMPTS="2").stdout)
    assert (told["providers"]["auto"], told["providers"]["openai"]["weight"]) == (True, 3.0)
    assert (told["routing"]["strategy"], told["budget"]["daily_usd"], told["retry"]["attempts"]) == ("balanced", 10, 2)


def test_the_example_configuration_is_valid(plenum) -> None:
    done = plenum("config", "check", "--config", str(ROOT / "docs/examples/plenum.toml"))
    assert done.returncode == 0, done.stderr


def test_the_schema_is_a_json_schema_of_every_section(plenum) -> None:
    schema = json.loads(plenum("config", "schema", "--json").stdout)
    assert {"providers", "routing", "budget", "security"} <= set(schema["properties"])
    jsonschema.validate(tomllib.loads((ROOT / "docs/examples/plenum.toml").read_text()), schema)
    with pytest.raises(jsonschema.ValidationError, match="prioritty"):
        jsonschema.validate({"providers": {"openai": {"prioritty": 1}}}, schema)


def test_trusting_a_project_lasts_until_its_file_changes(plenum, tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "plenum.toml"
    project.write_text('[providers.x]\ndialect = "openai_chat"\nbase_url = "https://x.example/v1"\n')
    before = plenum("config", "check", "--json", PLENUM_HOME=str(home))
    assert "plenum config trust" in json.loads(before.stdout)["warnings"][0]
    assert plenum("config", "trust", PLENUM_HOME=str(home)).returncode == 0
    assert json.loads(plenum("config", "check", "--json", PLENUM_HOME=str(home)).stdout)["warnings"] == []


def test_an_option_that_wants_a_file_and_gets_none_is_wrong_usage(plenum) -> None:
    for words in (("ask", "hi", "--config"), ("serve", "--config"), ("config", "check", "--config=")):
        done = plenum(*words)
        assert (done.returncode, done.stdout) == (2, "") and "--config needs a file" in done.stderr


def test_an_argument_the_tool_does_not_take_is_wrong_usage_and_named_as_an_option(plenum) -> None:
    done = plenum("ask", "hi", "--demo", "--cache", "sometimes", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "--cache should be 'use', 'refresh' or 'off'."


def test_what_happened_and_what_to_do_are_two_sentences(plenum) -> None:
    done = plenum("ask", "hi", "--demo", "--strategy", "cheep")
    assert done.returncode == 2
    assert done.stderr.startswith("There is no strategy 'cheep'. Use one of balanced, ")


def test_a_folder_in_place_of_a_batch_is_wrong_usage(plenum, tmp_path: Path) -> None:
    done = plenum("batch", str(tmp_path), "--demo")
    assert done.returncode == 2 and "cannot be read" in done.stderr


def test_a_home_that_cannot_be_written_is_a_fault_with_a_remedy(plenum, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    for words in (("init",), ("tokens", "create", "x"), ("forget", "x"), ("ask", "hi", "--demo")):
        done = plenum(*words, PLENUM_HOME=str(tmp_path / "home"))
        assert done.returncode == 2, words
        assert "folder" in done.stderr and "unexpected" not in done.stderr, words


def test_an_address_that_cannot_be_had_is_a_fault_of_usage(plenum) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        for words in (("serve", "--demo", "--http", f"127.0.0.1:{port}"), ("simulate", "--port", port)):
            done = plenum(*words)
            assert done.returncode == 2 and "another address or port" in done.stderr, words
    for words in (("simulate", "--port", "99999"), ("serve", "--workers", "2")):
        done = plenum(*words)
        assert done.returncode == 2 and words[1] in done.stderr, words


def test_a_home_may_begin_with_a_tilde_as_hosts_pass_it_on(plenum, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "plenum.toml").write_text("[routing]\nstratgy = 1\n")
    done = plenum("config", "check", HOME=str(tmp_path), PLENUM_HOME="~/there")
    assert done.returncode == 2 and "strategy" in done.stdout


def test_a_decision_for_a_program_names_its_candidates_as_the_tool_does(plenum) -> None:
    told = json.loads(plenum("ask", "hi", "--demo", "--explain", "--json").stdout)
    assert set(told) == {"decision", "candidates"} and told["candidates"][0]["model"].startswith("sim")


def test_an_option_out_of_its_range_is_wrong_usage_whatever_there_is_to_do(plenum, tmp_path: Path) -> None:
    for words in (
        ("models", "--limit", "0"),
        ("ab", "replay", "--strategy", "cheep"),
        ("costs", "--export", str(tmp_path / "out.pdf")),
        ("costs", "--export", str(tmp_path / "nowhere" / "out.csv")),
    ):
        done = plenum(*words)
        assert done.returncode == 2 and "unexpected" not in done.stderr, words
