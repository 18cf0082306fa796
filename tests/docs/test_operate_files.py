"""The dashboard for Grafana and the alert rules: well-formed, and about metrics that exist."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from routing.costs.reports import BudgetState
from server.telemetry.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "docs/operate"
METRIC = re.compile(r"\bai_[a-z_]+\b")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def exported() -> dict[str, set[str]]:
    """Every series name that can be scraped, with its labels."""
    metrics = Metrics()
    families = text_string_to_metric_families(
        metrics.scrape([BudgetState("g", "day", 1, 0, 0, 1, "", None, 0)]).decode()
    )
    kinds = {family.name: family.type for family in families}
    labels = {c._name: set(c._labelnames) for c in metrics.registry._collector_to_names}
    return {
        name + suffix: labels[name] | ({"le"} if suffix == "_bucket" else set())
        for name, kind in kinds.items()
        for suffix in SUFFIXES[kind]
    }


def panels() -> list[dict]:
    return json.loads((FOLDER / "grafana.json").read_text("utf-8"))["panels"]


def rules() -> list[dict]:
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    return group["rules"]


def check(expression: str) -> None:
    known = exported()
    names = set(METRIC.findall(expression))
    assert names, expression
    assert names <= set(known), f"{names - set(known)} is not exported"
    allowed = set().union(*(known[name] for name in names))
    for used in re.findall(r"by \(([^)]*)\)", expression) + re.findall(r"(\w+)=~?\"", expression):
        assert {label.strip() for label in used.split(",")} <= allowed, expression
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_every_panel_asks_for_metrics_and_labels_that_exist() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found) >= 10
    for panel in found:
        for target in panel["targets"]:
            check(target["expr"])


def test_every_alert_asks_for_metrics_that_exist_and_says_what_to_do() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) >= 5
    for rule in found:
        check(rule["expr"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"]


def test_every_metric_of_the_contract_is_on_the_dashboard() -> None:
    shown = set(METRIC.findall(json.dumps(panels())))
    missing = {name for name in exported() if name not in shown and not name.endswith(("_sum", "_count"))}
    assert not missing
