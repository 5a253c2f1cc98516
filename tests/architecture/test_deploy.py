"""The alert rules and the dashboard name metrics and parts of trouble that exist."""

import json
import re
from typing import Any

from ruamel.yaml import YAML

from tests.architecture.sources import ROOT

_RULES = ROOT / "deploy/prometheus-alerts.yml"
_DASHBOARD = ROOT / "deploy/grafana-dashboard.json"
_METRIC = re.compile(r"\bnurture_\w+")


def _known() -> set[str]:
    """Return every name that the pages of metrics show; a histogram has three more."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    names = set(_METRIC.findall(page))
    histograms = re.findall(r"`(nurture_\w+)` \| histogram", page)
    return names | {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}


def _rules() -> list[dict[str, Any]]:
    (group,) = YAML(typ="safe").load(_RULES.read_text())["groups"]
    return list(group["rules"])


def test_every_rule_says_what_to_do_about_a_metric_that_exists() -> None:
    for rule in _rules():
        assert rule["alert"].startswith("Nurture")
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        named = set(_METRIC.findall(rule["expr"]))
        assert named, rule["alert"]
        assert named <= _known(), rule["alert"]


def test_every_panel_shows_metrics_that_exist() -> None:
    board = json.loads(_DASHBOARD.read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    named = {name for expression in shown for name in _METRIC.findall(expression)}
    assert named <= _known()
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    # The person who imports the board chooses the data source.
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}


def test_rules_and_page_name_the_parts_that_the_judge_finds() -> None:
    code = "".join(path.read_text() for path in (ROOT / "nurture/domain/health").glob("*.py"))
    parts = set(re.findall(r'Finding\(\s*"(\w+)"', code)) | {"worker", "scheduler", "api", "inbound"}
    named = {
        part
        for rule in _rules()
        for parts_named in re.findall(r'part=~?"([\w|]+)"', rule["expr"])
        for part in parts_named.split("|")
    }
    assert named <= parts
    page = (ROOT / "docs/status.md").read_text()
    assert {part for part in parts if f"`{part}`" not in page} == set()
