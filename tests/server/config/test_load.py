"""What a user's configuration does, and what its faults say."""

import json
from pathlib import Path

import pytest

from server.config import ConfigFault, load
from server.config.load import Folders, digest


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "config", tmp_path / "data")


def read(folders: Folders, text: str, environment: dict[str, str] | None = None):
    file = folders.config / "plenum.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return load(None, environment or {}, folders)


def fault(folders: Folders, text: str, environment: dict[str, str] | None = None) -> ConfigFault:
    with pytest.raises(ConfigFault) as caught:
        read(folders, text, environment)
    return caught.value


def test_without_a_file_every_default_of_the_contract_holds(folders: Folders) -> None:
    config = load(None, {}, folders).config
    assert (config.routing.strategy, config.routing.deadline_s, config.breaker.failures) == ("balanced", 120, 5)


def test_an_unknown_key_names_file_line_and_nearest_key(folders: Folders) -> None:
    (finding,) = fault(folders, '[routing]\nstrategy = "cost"\nmodle = "x"\n').findings
    assert (finding.key, finding.line, finding.nearest) == ("routing.modle", 3, "model")
    assert finding.file.endswith("plenum.toml")


def test_a_fault_inside_a_list_of_models_names_the_line_of_that_key(folders: Folders) -> None:
    text = '[providers]\nauto = false\n[[providers.x.models]]\nid = "a"\n[[providers.x.models]]\nid = "b"\nqualty = 1\n'
    (finding,) = fault(folders, text).findings
    assert (finding.key, finding.line, finding.nearest) == ("providers.x.models.1.qualty", 7, "quality")


def test_every_fault_is_reported_at_once(folders: Folders) -> None:
    findings = fault(folders, "[budget]\ndaily_usd = -1\n[retry]\nattempts = 99\n[bugdet]\n").findings
    assert {(f.key, f.line) for f in findings} == {("budget.daily_usd", 2), ("retry.attempts", 4), ("bugdet", 5)}


@pytest.mark.parametrize("value", ["nan", "inf", "-1", '"x"', "true"])
def test_a_budget_that_is_no_amount_is_refused(folders: Folders, value: str) -> None:
    assert fault(folders, f"[budget]\ndaily_usd = {value}\n").findings[0].key == "budget.daily_usd"


def test_broken_toml_names_the_file(folders: Folders) -> None:
    (finding,) = fault(folders, "[routing]\nmodel = \n").findings
    assert finding.key == "toml" and finding.line == 2


def test_a_fault_never_prints_the_value_it_complains_about(folders: Folders) -> None:
    text = '[providers.x]\napi_key = ["sk-canary-123"]\nheaders = { a = ["sk-canary-123"] }\n'
    assert "canary" not in str(fault(folders, text))


def test_any_key_can_be_overridden_from_the_environment(folders: Folders) -> None:
    environment = {
        "PLENUM_ROUTING_STRATEGY": "cost",
        "PLENUM_BUDGET_DAILY_USD": "2.5",
        "PLENUM_PROVIDERS_MY_LLM_RPM": "6",
        "PLENUM_PROVIDERS_AUTO": "false",
        "PLENUM_HTTP_TOKENS": "a, b",
        "PLENUM_ROUTING_WEIGHTS_COST": "0.5",
    }
    config = read(folders, "[providers.my-llm]\nweight = 2\n", environment).config
    assert (config.routing.strategy, config.budget.daily_usd, config.http.tokens) == ("cost", 2.5, ("a", "b"))
    assert (config.providers.table["my-llm"].rpm, config.providers.auto) == (6, False)
    assert config.routing.weights.cost == 0.5


@pytest.mark.parametrize("raw", ['["a", "b"]', "a, b", "a,b,"])
def test_a_list_may_come_as_json_or_with_commas(folders: Folders, raw: str) -> None:
    assert read(folders, "", {"PLENUM_HTTP_TOKENS": raw, "PLENUM_HTTP_HOSTS": raw}).config.http.hosts == ("a", "b")


def test_a_variable_that_names_a_section_but_no_key_is_a_fault(folders: Folders) -> None:
    (finding,) = fault(folders, "", {"PLENUM_ROUTING_STRATGY": "cost"}).findings
    assert finding.key == "PLENUM_ROUTING_STRATGY"


@pytest.mark.parametrize("raw", ["", "  ", "${FOO}", "$FOO"])
def test_what_a_host_left_unexpanded_counts_as_unset(folders: Folders, raw: str) -> None:
    assert read(folders, "", {"PLENUM_ROUTING_STRATEGY": raw}).config.routing.strategy == "balanced"
    assert read(folders, '[providers.a]\napi_key = "$KEY"\n', {"KEY": raw}).config.providers.table["a"].api_key is None


def test_references_are_expanded_in_tables_and_lists(folders: Folders) -> None:
    config = read(folders, '[http]\ntokens = ["$ONE", "${TWO}", "$NONE"]\n', {"ONE": "1", "TWO": "2"}).config
    assert config.http.tokens == ("1", "2")


class TestAProjectsFile:
    def project(self, folders: Folders, tmp_path: Path, text: str):
        project = tmp_path / "plenum.toml"
        project.write_text(text)
        return load(None, {}, folders, project), project

    def test_may_set_routing_and_groups(self, folders: Folders, tmp_path: Path) -> None:
        loaded, _ = self.project(folders, tmp_path, '[routing]\nstrategy = "cost"\n[models]\nfast = ["a/b"]\n')
        assert (loaded.config.routing.strategy, loaded.config.models) == ("cost", {"fast": ("a/b",)})
        assert loaded.warnings == ()

    def test_cannot_redirect_a_key_or_start_a_program(self, folders: Folders, tmp_path: Path) -> None:
        text = '[providers.openai]\nbase_url = "https://evil.example"\n[context]\nfile = "evil.json"\n'
        loaded, _ = self.project(folders, tmp_path, text)
        assert loaded.config.providers.table == {} and loaded.config.context.file is None
        assert "plenum config trust" in loaded.warnings[0]

    def test_can_lower_a_budget_but_not_raise_it(self, folders: Folders, tmp_path: Path) -> None:
        raised, _ = self.project(folders, tmp_path, "[budget]\ndaily_usd = 500\n")
        lowered, _ = self.project(folders, tmp_path, "[budget]\ndaily_usd = 1\nmonthly_usd = 20\n")
        beside, _ = self.project(folders, tmp_path, "[budget]\nmonthly_usd = 1_000_000\n")
        assert raised.config.budget.daily_usd == 10
        assert (beside.config.budget.daily_usd, beside.config.budget.monthly_usd) == (10, 1_000_000)
        assert (lowered.config.budget.daily_usd, lowered.config.budget.monthly_usd) == (1, 20)

    def test_is_believed_once_trusted_until_it_changes(self, folders: Folders, tmp_path: Path) -> None:
        text = '[providers.x]\ndialect = "openai_chat"\n'
        _, project = self.project(folders, tmp_path, text)
        folders.data.mkdir()
        folders.trusted.write_text(json.dumps({str(project.resolve()): digest(project)}))
        assert "x" in self.project(folders, tmp_path, text)[0].config.providers.table
        assert "x" not in self.project(folders, tmp_path, text + "weight = 2\n")[0].config.providers.table
