"""The rules are what Prometheus takes, and every alert fires when it should and only then."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.alert_cases import CASES
from tests.monitoring.queries import RULES, alerts
from tests.monitoring.series import Series


def promtool(*arguments: str | Path) -> str:
    ended = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_prometheus_takes_the_rules() -> None:
    for path in RULES:
        assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", path)


def test_every_alert_has_its_cases() -> None:
    assert {case.alert for case in CASES} == {alert["alert"] for alert in alerts()}


@pytest.mark.timeout(600)  # promtool works for a minute on a slow host
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    files = []
    for case in CASES:
        both = [_test(case.alert, case.fires, 1, case.at), _test(case.alert, case.silent, 0, case.at)]
        files.append(_test_file(tmp_path, case.alert, both))
    promtool("test", "rules", *files)


def test_a_wrong_expectation_would_be_seen(tmp_path: Path) -> None:
    case = CASES[0]
    file = _test_file(tmp_path, case.alert, [_test(case.alert, case.silent, 1, case.at)])
    ended = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert case.alert in ended.stdout + ended.stderr


def _test_file(directory: Path, alert: str, tests: list[dict[str, Any]]) -> Path:
    """Write tests of one alert as promtool reads them; with all other alerts it would work three times as long."""
    groups = [
        {**group, "rules": [rule for rule in group["rules"] if rule.get("alert", alert) == alert]}
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    rules, file = directory / f"{alert}.yaml", directory / f"{alert}.test.yaml"
    rules.write_text(yaml.safe_dump({"groups": groups}))
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "15s", "tests": tests}))
    return file


def _test(alert: str, series: Series, firing: int, at: str) -> dict[str, Any]:
    """Return a test of promtool's: with these series, so many alerts of this name fire then; or never, if none."""
    fires = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    query = f"count({fires})" if firing else f"count(count_over_time({fires}[1h]))"
    expected = [{"labels": "{}", "value": firing}] if firing else []
    return {
        "name": f"{alert} {'fires' if firing else 'is silent'}",
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": expected}],
    }
