"""`plenum costs` reads the ledger that the tools write."""

import csv
import json

CHEAP = {"PLENUM_BUDGET_DAILY_USD": "5"}


def test_what_was_asked_is_in_the_table_the_json_and_the_export(plenum, tmp_path):
    for word in ("one", "two"):
        done = plenum("ask", word, "--demo", "--model", "sim/fast", **CHEAP)
        assert done.returncode == 0, done.stderr
    report = json.loads(plenum("costs", "--json", "--demo", "--by", "model", **CHEAP).stdout)
    assert report["calls"] == 2 and report["total_usd"] > 0
    assert [group["key"] for group in report["groups"]] == ["sim/fast"]
    assert report["budgets"][0]["limit_usd"] == 5.0
    table = plenum("costs", "--demo", **CHEAP).stdout
    assert "sim" in table and "left in the global budget of the day" in table
    plenum("costs", "--demo", "--export", str(tmp_path / "out.csv"), **CHEAP)
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert sum(int(row["nano"]) for row in rows) == round(report["total_usd"] * 1e9)
    plenum("costs", "--demo", "--export", str(tmp_path / "out.json"), **CHEAP)
    assert len(json.loads((tmp_path / "out.json").read_text())) == len(rows)


def test_an_export_of_a_provider_is_compared(plenum, tmp_path):
    plenum("ask", "one", "--demo", "--model", "sim/fast")
    (tmp_path / "bill.csv").write_text("date,model,cost\n2020-01-01,fast,1.25\n")
    found = plenum("costs", "--demo", "--reconcile", str(tmp_path / "bill.csv"), "--provider", "sim")
    assert "charged $1.25, booked $0.00: they do not agree" in found.stdout
    assert "not in the ledger" in found.stdout


def test_budgets_are_shared_out_and_written_only_when_told(plenum, tmp_path):
    file = tmp_path / "plenum.toml"
    file.write_text("[providers.openai]\ndaily_usd = 4.0\n[providers.groq]\ndaily_usd = 4.0\n")
    before = file.read_text()
    assert "hardly used" in plenum("costs", "--demo", "--optimise").stdout
    assert file.read_text() == before
    done = plenum("costs", "--demo", "--optimise", "--apply")
    assert "Written to" in done.stdout, done.stderr
    assert file.read_text().count("daily_usd = 4") == 2


def test_wrong_words_are_said_to_be_wrong(plenum, tmp_path):
    for words in (["--period", "year"], ["--by", "mood"], ["--from", "yesterday"], ["--reconcile", "none.csv"]):
        done = plenum("costs", "--demo", *words)
        assert done.returncode == 2 and done.stderr.strip(), words
