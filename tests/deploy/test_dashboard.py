"""A real Prometheus scrapes the real service with the files of deploy/prometheus, and answers every panel."""

import json
import re
import time

import pytest
import requests
import yaml

from launchers.process import ROOT, free_port
from tests.programs import program
from tests.server.processes import Process

pytestmark = [pytest.mark.server, pytest.mark.model]

DASHBOARD = json.loads((ROOT / "deploy/grafana/embeddings.json").read_text())
QUERIES = {target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
VARIABLES = {
    variable["name"]: variable["query"]["query"]
    for variable in DASHBOARD["templating"]["list"]
    if variable["type"] == "query"
}

TIMEOUT_SECONDS = 300


class Prometheus(Process):
    """Debian's Prometheus with our configuration, but for the address, and 15 times as fast."""

    def __init__(self, directory, target):
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
        config["global"] = dict.fromkeys(config["global"], "1s")
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        config["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yml")]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}/api/v1/"
        options = {"config.file": "prometheus.yml", "storage.tsdb.path": "data", "web.listen-address": address}
        command = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        super().__init__(command, directory, cwd=directory)
        self.wait_for(self.is_ready)

    def is_ready(self):
        try:
            return requests.get(self.url + "status/runtimeinfo", timeout=60).ok
        except requests.ConnectionError:
            return False

    def get(self, path, **parameters):
        answer = requests.get(self.url + path, parameters, timeout=60).json()
        assert answer["status"] == "success", (parameters, answer)
        return answer["data"]

    def shows(self, query):
        """Tell whether there is a number to draw."""
        return any(series["value"][1] != "NaN" for series in self.get("query", query=query)["result"])

    def rules(self):
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def values(self, query):
        """Return what Grafana offers for a variable."""
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        return self.get(f"label/{label}/values", **{"match[]": series})


@pytest.fixture
def target():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def ready(start, target):
    return start(monitor=target).wait_until_ready()


@pytest.fixture
def prometheus(target, tmp_path):
    prometheus = Prometheus(tmp_path, target)
    yield prometheus
    prometheus.kill()


def test_every_rule_is_evaluated_and_every_panel_has_data(ready, prometheus, target):
    """The panels of errors and of refusals have none before the first; here there is one of each a second."""
    queries = {fill_in(query, job="embeddings", instance=re.escape(target)) for query in QUERIES}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while queries and time.monotonic() < deadline:
        assert ready.post(["a text", "a longer text"]).status_code == 200
        late = {"X-Request-Timeout": "0.000001"}
        assert requests.post(ready.url + "/embed", json={"input": "late"}, headers=late, timeout=60).status_code == 504
        time.sleep(0.5)
        queries = {query for query in queries if not prometheus.shows(query)}

    assert queries == set()
    prometheus.wait_for(lambda: [each["health"] for each in prometheus.get("targets")["activeTargets"]] == ["up"])
    assert len(prometheus.rules()) > 10
    prometheus.wait_for(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"})
    assert prometheus.values(VARIABLES["job"]) == ["embeddings"]
    assert prometheus.values(fill_in(VARIABLES["instance"], job="embeddings")) == [target]


def fill_in(query, **values):
    for name, value in values.items():
        query = query.replace(f"${name}", value.replace("\\", "\\\\"))
    assert "$" not in query
    return query
