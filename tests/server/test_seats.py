"""Which providers exist, with which key and where: from configuration and environment alone."""

from pathlib import Path

import pytest

from providers.http import Http
from server.config import ConfigFault, load
from server.config.load import Folders
from server.proxies import proxies
from server.roster import Roster, Wires
from server.seats import seats


def config(tmp_path: Path, text: str = "", environment: dict[str, str] | None = None):
    file = tmp_path / "plenum.toml"
    file.write_text(text)
    return load(file, environment or {}, Folders(tmp_path, tmp_path)).config


def found(tmp_path: Path, text: str = "", **environment: str):
    return {seat.name: seat for seat in seats(config(tmp_path, text, environment), environment)}


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("GEMINI_API_KEY", "gemini"),
        ("GOOGLE_API_KEY", "gemini"),
        ("XAI_API_KEY", "xai"),
        ("DEEPSEEK_API_KEY", "deepseek"),
        ("MISTRAL_API_KEY", "mistral"),
        ("COHERE_API_KEY", "cohere"),
        ("CO_API_KEY", "cohere"),
        ("OPENROUTER_API_KEY", "openrouter"),
        ("GROQ_API_KEY", "groq"),
        ("TOGETHER_API_KEY", "together"),
        ("HF_TOKEN", "huggingface"),
        ("PERPLEXITY_API_KEY", "perplexity"),
        ("CEREBRAS_API_KEY", "cerebras"),
    ],
)
def test_a_provider_is_found_by_its_well_known_variable(tmp_path: Path, variable: str, name: str) -> None:
    seat = found(tmp_path, **{variable: "k"})[name]
    assert seat.key() == "k" and seat.base_url.startswith("https://")


def test_azure_needs_its_endpoint_too(tmp_path: Path) -> None:
    assert "azure" not in found(tmp_path, AZURE_OPENAI_API_KEY="k")
    seat = found(tmp_path, AZURE_OPENAI_API_KEY="k", AZURE_OPENAI_ENDPOINT="https://me.openai.azure.com/")["azure"]
    assert seat.base_url == "https://me.openai.azure.com/openai/v1"


@pytest.mark.parametrize("raw", ["", " ", "$OPENAI_API_KEY", "${OPENAI_API_KEY}"])
def test_an_unexpanded_key_is_no_key(tmp_path: Path, raw: str) -> None:
    assert found(tmp_path, OPENAI_API_KEY=raw) == {}


def test_automatic_discovery_can_be_switched_off(tmp_path: Path) -> None:
    assert found(tmp_path, "[providers]\nauto = false\n", OPENAI_API_KEY="k") == {}


def test_an_alias_of_a_provider_is_that_provider(tmp_path: Path) -> None:
    assert list(found(tmp_path, "[providers.google]\npriority = 3\n", GEMINI_API_KEY="k")) == ["gemini"]


def test_an_unknown_name_must_say_its_dialect(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="dialect"):
        found(tmp_path, '[providers.alpha]\nbase_url = "https://a.example"\n')


def test_a_key_is_never_sent_in_clear_beyond_loopback(tmp_path: Path) -> None:
    table = '[providers.a]\ndialect = "openai_chat"\napi_key = "canary"\nbase_url = "http://{}"\n'
    assert found(tmp_path, table.format("127.0.0.1:1/v1"))["a"].local
    assert found(tmp_path, table.format("example.com/v1") + "allow_http = true\n")["a"].key() == "canary"
    with pytest.raises(ConfigFault, match="https") as caught:
        found(tmp_path, table.format("example.com/v1"))
    assert "canary" not in str(caught.value)


def test_an_endpoint_tells_credentials_apart_without_telling_them(tmp_path: Path) -> None:
    one, two = found(tmp_path, OPENAI_API_KEY="key-1")["openai"], found(tmp_path, OPENAI_API_KEY="key-2")["openai"]
    assert one.endpoint != two.endpoint and "key-1" not in one.endpoint


def test_a_vault_gives_a_key_bound_to_the_origin(tmp_path: Path) -> None:
    def vault(name: str, origin: str) -> str | None:
        return "stored" if (name, origin) == ("openai", "https://api.openai.com") else None

    (seat,) = seats(config(tmp_path), {}, vault)
    assert seat.key() == "stored"
    (moved,) = seats(config(tmp_path, '[providers.openai]\nbase_url = "https://evil.example/v1"\n'), {}, vault)
    assert moved.key() is None


def test_deployments_carry_what_the_configuration_says_of_a_model(tmp_path: Path) -> None:
    text = """
[providers.alpha]
dialect = "openai_chat"
base_url = "http://127.0.0.1:9001/v1"
weight = 3
[[providers.alpha.models]]
id = "m1"
context_window = 1000
price = { input = 2.5, output = 10 }
quality = 0.9
[[providers.alpha.models]]
id = "tuned"
base = "gpt-4.1-mini"
"""
    (seat,) = found(tmp_path, text).values()
    one, tuned = Roster(seat, Wires(Http())).deployments()
    assert (one.name, one.card.context_window, one.card.quality["default"], one.weight) == ("alpha/m1", 1000, 0.9, 3)
    assert one.price is not None and (one.price.input, one.price.output) == (2.5, 10)
    assert tuned.card.context_window > 1_000_000 and tuned.group == "gpt-4.1-mini"


def test_a_denied_model_is_neither_offered_nor_adopted(tmp_path: Path) -> None:
    text = '[providers.openai]\nmodels = { allow = ["gpt-*"], deny = ["*-luna"] }\n'
    roster = Roster(found(tmp_path, text, OPENAI_API_KEY="k")["openai"], Wires(Http()))
    names = [d.model for d in roster.deployments()]
    assert "gpt-6.1-sol" in names and "gpt-6-luna" not in names
    assert roster.adopt("gpt-6-luna") is None and roster.adopt("gpt-new") is not None


def test_a_provider_without_its_key_says_so_in_its_deployments(tmp_path: Path) -> None:
    roster = Roster(found(tmp_path, "[providers.openai]\n")["openai"], Wires(Http()))
    assert {d.status for d in roster.deployments()} == {"no_key"}


def test_proxies_follow_the_environment_and_its_exceptions() -> None:
    proxy = proxies({"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:2", "NO_PROXY": "internal.example, .corp"})
    assert proxy("https://api.openai.com/v1") == "http://p:2"
    assert proxy("https://a.internal.example/v1") is None and proxy("https://x.corp") is None
    assert proxy("http://api.example") is None
    assert proxies({"NO_PROXY": "*", "ALL_PROXY": "http://p:1"})("https://a.example") is None


def test_a_model_that_only_one_dialect_reaches_is_asked_in_that(tmp_path: Path) -> None:
    roster = Roster(found(tmp_path, OPENAI_API_KEY="k")["openai"], Wires(Http()))
    assert roster.deployment("gpt-5.5-pro").opener.dialect.name == "openai_responses"
    assert roster.deployment("gpt-6-luna").opener.dialect.name == "openai_chat"
