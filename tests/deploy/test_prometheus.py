"""deploy/prometheus and deploy/grafana: valid, and about metrics that the service has."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.programs import program
from tests.series import SERIES
from tests.server.processes import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((ROOT / "deploy/grafana/embeddings.json").read_text())


def named(query):
    """The series that a query names."""
    return set(re.findall(r"\bembeddings[_:][\w:]+", query))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or rule["alert"])
def test_a_rule_is_about_series_that_exist(rule):
    assert named(rule["expr"]) <= SERIES | RECORDED
    assert named(rule["expr"]) or "up{" in rule["expr"]


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_is_about_series_that_exist(panel):
    for target in panel["targets"]:
        assert named(target["expr"])
        assert named(target["expr"]) <= SERIES | RECORDED


def test_a_variable_of_the_dashboard_is_about_a_series_that_exists():
    queries = [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]

    assert len(queries) == 2
    assert set.union(*map(named, queries)) <= SERIES


def test_every_series_that_is_recorded_is_used():
    shown = json.dumps(DASHBOARD) + "".join(rule["expr"] for rule in RULES)

    assert [name for name in RECORDED if name not in shown] == []


def test_an_alert_says_what_is_wrong_and_how_urgent_it_is():
    alerts = [rule for rule in RULES if "alert" in rule]

    assert {rule["labels"]["severity"] for rule in alerts} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in alerts)


@pytest.mark.parametrize("command", ["check config prometheus.yml", "test rules rules_test.yml"])
def test_promtool_accepts_the_files(command, tmp_path):
    """The alerts fire when they should."""
    for file in [*PROMETHEUS.iterdir(), ROOT / "tests/deploy/rules_test.yml"]:
        shutil.copy(file, tmp_path)
    command = [program("promtool"), *command.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
