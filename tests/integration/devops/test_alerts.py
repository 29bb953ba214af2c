"""Each alert fires when its fault is there, and clears: `promtool test rules` on our own file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "devops" / "prometheus"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
LABELS = {"consumergroup": "previews", "topic": "t.made.json"}
LAG = 'kafka_consumergroup_lag{consumergroup="previews",topic="t.made.json",partition="%d"}'
MEMBERS = 'kafka_consumergroup_members{consumergroup="previews"}'
RELAY = 'instance="relay:9400",job="relay",role="relay"'
RECORDS = 'kafka_inbox_open_records{group="g",topic="t",status="dead",instance="%s"}'
COUNTS = '{group="g",topic="t",instance="a"%s}'
ONE_RELAY = {"job": "relay", "instance": "relay:9400", "role": "relay"}


@dataclass(frozen=True)
class Case:
    """A fault: series by minute, when the alert fires, when not yet, and when it is over."""

    alert: str
    series: dict[str, str]
    summary: str
    fires: str
    early: str
    over: str
    labels: dict[str, str] = field(default_factory=dict)

    def at(self, moment: str, *, fires: bool) -> dict[str, Any]:
        """Return what promtool is to find at a moment."""
        rule = RULES[self.alert]
        texts = rule["annotations"] | {"summary": self.summary}
        alert = {"exp_labels": rule["labels"] | self.labels, "exp_annotations": texts}
        expected = [alert] if fires else []
        return {"eval_time": moment, "alertname": self.alert, "exp_alerts": expected}


CASES = [
    Case("KafkaBrokerDown", {'up{job="kafka",instance="kafka:9999"}': "1x4 0x9 1x9"},
         "Broker kafka:9999 does not answer.", "7m", "5m30s", "17m",
         {"job": "kafka", "instance": "kafka:9999"}),
    Case("KafkaOfflinePartitions",
         {'kafka_controller_offlinepartitionscount{instance="a"}': "0x4 2x9 0x9"},
         "2 partitions have no leader.", "7m", "5m30s", "17m"),
    Case("KafkaUnderReplicatedPartitions",
         {'kafka_server_replicamanager_underreplicatedpartitions{instance="a"}': "0x4 3x19 0x9"},
         "3 partitions led by a lack copies.", "12m", "9m", "27m", {"instance": "a"}),
    Case("KafkaNoController",
         {'kafka_controller_activecontrollercount{instance="a"}': "1x4 0x9 1x9",
          'kafka_controller_activecontrollercount{instance="b"}': "0x30"},
         "The cluster has 0 active controllers in place of one.", "7m", "5m30s", "17m"),
    Case("KafkaExporterDown", {'up{job="kafka-exporter",instance="e:9308"}': "1x4 0x19 1x9"},
         "kafka-exporter does not answer, so the lag of consumers is unknown.", "12m", "9m", "27m",
         {"job": "kafka-exporter", "instance": "e:9308"}),
    # One partition was never committed to: -1 must not hide the lag of the other.
    Case("KafkaConsumerLagGrowing", {LAG % 0: "100x10 1100+100x30 0x20", LAG % 1: "-1x60"},
         "Group previews is 3100 messages behind on t.made.json, and falls back.",
         "31m", "15m", "45m", LABELS),
    Case("KafkaConsumerGroupGone", {MEMBERS: "2x4 0x19 2x9", LAG % 0: "5x60", LAG % 1: "-1x60"},
         "Nobody reads for group previews, and messages wait.", "12m", "9m", "27m",
         {"consumergroup": "previews"}),
    # Two processes tell the same of the database.
    Case("OutboxNotDraining",
         {'kafka_outbox_oldest_seconds{topic="t",instance="a"}': "0+60x14 0x19",
          'kafka_outbox_oldest_seconds{topic="t",instance="b"}': "0+60x14 0x19"},
         "An event for t has waited for 8m 0s.", "8m", "5m", "17m", {"topic": "t"}),
    Case("OutboxKeysHeld",
         {'kafka_outbox_held_keys{topic="t",instance="a"}': "0x4 1x9 0x9",
          'kafka_outbox_held_keys{topic="t",instance="b"}': "0x4 1x9 0x9"},
         "1 keys of t are held: Kafka refuses an event of each.", "7m", "5m30s", "17m",
         {"topic": "t"}),
    Case("OutboxDatabaseSilent",
         {'kafka_outbox_database_up{database="default",instance="a"}': "1x4 0x9 1x9"},
         "Database default does not answer the metrics' questions.", "8m", "6m", "17m",
         {"database": "default"}),
    Case("RelayMissing", {'kafka_outbox_living_relays{instance="web:8000"}': "2x4 0x9 1x9"},
         "No relay gives a sign of life; events wait in the outbox.", "8m", "6m", "17m"),
    Case("KafkaProcessHangs", {f"kafka_process_live{{{RELAY}}}": "1x4 0x9 1x9"},
         "The loop of relay relay:9400 stands still.", "7m", "5m30s", "17m", ONE_RELAY),
    Case("KafkaProcessNotReady", {f"kafka_process_ready{{{RELAY}}}": "1x4 0x19 1x9"},
         "The relay relay:9400 cannot work now.", "12m", "9m", "27m", ONE_RELAY),
    Case("KafkaProcessDown", {'up{job="consumer",instance="c:9400"}': "1x4 0x9 1x9"},
         "consumer c:9400 does not answer.", "8m", "6m", "17m",
         {"job": "consumer", "instance": "c:9400"}),
    Case("InboxDeadMessages", {RECORDS % "a": "0x4 2x9 0x9", RECORDS % "b": "0x4 2x9 0x9"},
         "Group g gave up 2 messages of t.", "7m", "5m30s", "17m", {"group": "g", "topic": "t"}),
    Case("InboxHandlersFail",
         {"kafka_inbox_retries_total" + COUNTS % "": "0x5 0+60x19 1140x20",
          "kafka_inbox_messages_total" + COUNTS % ',outcome="handled"': "0+60x60"},
         "Handlers of g fail on t more than once for every two messages.", "18m", "9m", "35m",
         {"group": "g", "topic": "t"}),
]  # fmt: skip


def promtool(*arguments: object) -> str:
    """Run promtool, and fail with what it says."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_every_alert_has_a_test() -> None:
    assert {case.alert for case in CASES} == RULES.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_waits_fires_and_clears(case: Case, tmp_path: Path) -> None:
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    moments = [
        case.at(case.early, fires=False),
        case.at(case.fires, fires=True),
        case.at(case.over, fires=False),
    ]
    tests = {
        "rule_files": [str(PROMETHEUS / "alerts.yml")],
        "evaluation_interval": "30s",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": moments}],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(tests, width=1_000))
    promtool("test", "rules", path)
