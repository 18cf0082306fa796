"""`plenum migrate`: what it writes is a configuration that Plenum takes, and never a key."""

import tomllib

import pytest

LITELLM = """
model_list:
  - model_name: smart
    litellm_params: {model: anthropic/claude-opus-5, api_key: sk-SECRET}
  - model_name: smart
    litellm_params: {model: gpt-6, api_key: os.environ/OPENAI_API_KEY}
  - model_name: "evil\\"]\\n[http"
    litellm_params: {model: openai/local, api_base: "http://127.0.0.1:9/v1", api_key: os.environ/LOCAL_KEY, rpm: 60}
  - model_name: odd
    litellm_params: {model: sagemaker/x}
router_settings: {routing_strategy: latency-based-routing, fallbacks: [{smart: ["gpt-6"]}]}
general_settings: {master_key: sk-SECRET}
"""
PAL = """# pal
OPENAI_API_KEY=sk-SECRET
DEFAULT_MODEL=gemini-3-pro
OPENAI_ALLOWED_MODELS=gpt-6, gpt-6-mini
GOOGLE_ALLOWED_MODELS=flash
CUSTOM_API_URL="http://127.0.0.1:11434/v1"
CUSTOM_MODEL_NAME=llama
LOG_LEVEL=DEBUG
"""


def test_litellm_becomes_groups_providers_and_fallbacks(plenum, tmp_path) -> None:
    pytest.importorskip("yaml", reason="pyyaml is not installed")
    (tmp_path / "config.yaml").write_text(LITELLM)
    done = plenum("migrate", "config.yaml", "--out", "plenum.toml")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "plenum.toml").read_text()
    found = tomllib.loads(text)
    assert found["models"]["smart"] == ["anthropic/claude-opus-5", "openai/gpt-6"]
    assert found["models"]['evil"]\n[http'] == ["own-1/local"]
    own = found["providers"]["own-1"]
    assert (own["base_url"], own["api_key_env"], own["rpm"]) == ("http://127.0.0.1:9/v1", "LOCAL_KEY", 60)
    assert found["routing"]["strategy"] == "performance"
    assert found["routing"]["fallbacks"] == {"smart": ["gpt-6"]}
    assert "http" not in found
    assert "SECRET" not in text
    assert "sagemaker" in text
    assert "general_settings" in text
    assert plenum("migrate", "config.yaml", "--out", "plenum.toml").returncode == 2
    checked = plenum("config", "check", "--config", "plenum.toml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_pal_becomes_a_configuration_that_is_taken(plenum, tmp_path) -> None:
    (tmp_path / ".env").write_text(PAL)
    done = plenum("migrate", ".env")
    assert done.returncode == 0, done.stderr
    assert "SECRET" not in done.stdout
    found = tomllib.loads(done.stdout)
    assert found["routing"]["model"] == "gemini-3-pro"
    assert found["providers"]["openai"]["models"]["allow"] == ["gpt-6", "gpt-6-mini"]
    assert found["providers"]["gemini"]["models"]["allow"] == ["flash"]
    (tmp_path / "plenum.toml").write_text(done.stdout)
    checked = plenum("config", "check", "--config", "plenum.toml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("content", ["[1, 2]", "{", "a: &a [*a]", "model_list: {x: 1}"])
def test_what_is_no_configuration_is_said_or_comes_to_nothing(plenum, tmp_path, content: str) -> None:
    (tmp_path / "c.yaml").write_text(content)
    done = plenum("migrate", "c.yaml")
    assert done.returncode in (0, 2)
    assert "unexpected" not in done.stderr
