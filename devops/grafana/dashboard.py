"""A dashboard's JSON model, as Grafana 10 and later read it.

Each panel asks the data source that the variable at the top of the page names. So one file works
provisioned and imported by hand: neither has to know what the data source is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "table"]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_HEIGHT = 8


@dataclass(frozen=True)
class Panel:
    """One panel.

    Args:
        title: what it shows.
        unit: Grafana's name of the unit, such as ``s``, ``bytes``, ``short``, ``cps``.
        queries: pairs of PromQL expression and legend.
        help: what a person should make of it.
        kind: Grafana's panel type.
        width: of 24 columns.
        alarm: from this value on it turns red; None never.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    help: str
    kind: Kind = "timeseries"
    width: int = 12
    alarm: float | None = None

    def model(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel's JSON model at a place of the grid."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.help,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": _HEIGHT},
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _OPTIONS[self.kind],
            "targets": [self._target(*pair) for pair in zip("ABCDEF", self.queries, strict=False)],
        }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if self.alarm is not None:
            steps.append({"color": "red", "value": self.alarm})
        found: dict[str, Any] = {
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if self.kind == "timeseries":
            found |= {
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
            }
        return found

    def _target(self, ref: str, query: tuple[str, str]) -> dict[str, Any]:
        expression, legend = query
        target = {"refId": ref, "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
        # A table and a number show the present, a graph the past.
        return (
            target
            | {"range": self.kind == "timeseries", "instant": self.kind != "timeseries"}
            | ({"format": "table"} if self.kind == "table" else {})
        )


_OPTIONS: dict[Kind, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
    },
    "table": {"showHeader": True},
}


@dataclass(frozen=True)
class Dashboard:
    """A page of panels.

    Args:
        uid: its name in URLs, which stays when the title changes.
        variables: pairs of a label's name and the metric whose values it may have.
    """

    title: str
    uid: str
    help: str
    panels: tuple[Panel, ...]
    variables: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Return the file's text."""
        return json.dumps(self.model(), indent=2) + "\n"

    def model(self) -> dict[str, Any]:
        """Return the dashboard's JSON model."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.help,
            "tags": ["kafka", "mediajira"],
            "schemaVersion": 38,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [_data_source(), *(_variable(*v) for v in self.variables)]},
            "annotations": {"list": []},
            "links": [],
            "panels": list(_placed(self.panels)),
        }


def _placed(panels: Iterable[Panel]) -> Iterable[dict[str, Any]]:
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > _COLUMNS:
            x, y = 0, y + _HEIGHT
        yield panel.model(number, x, y)
        x += panel.width


def _data_source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }


def _variable(label: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
