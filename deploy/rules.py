# ruff: noqa: INP001 - a script beside the files that it writes, in no package
"""Writes the rules as a resource of Prometheus Operator, for `make rules`: ``python -m deploy.rules``."""

from pathlib import Path

import yaml

from prometheus.rules import RULE_FILES

_ROOT = Path(__file__).parents[1]
TARGET = _ROOT / "deploy/kubernetes/prometheusrule.yaml"
_HEAD = """\
# Written by deploy/rules.py from prometheus/alerts.yml and prometheus/recording.yml; change those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: asynctask-exporter
  labels:
    app.kubernetes.io/name: asynctask-exporter
"""


def manifest() -> str:
    """The resource, with the groups of all rule files."""
    texts = ((_ROOT / "prometheus" / name).read_text(encoding="utf-8") for name in RULE_FILES)
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    return _HEAD + yaml.safe_dump({"spec": {"groups": groups}}, sort_keys=False, width=1000)


if __name__ == "__main__":
    TARGET.write_text(manifest(), encoding="utf-8")
