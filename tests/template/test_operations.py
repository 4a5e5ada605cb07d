"""docs/operations.md keeps up with the template: a row per hop, a runbook per alarm."""

import re

import pytest

from tests.sam_template import PROJECT, resources, target_of, written_template
from tests.template.hops import Hop, hops

TEXT = (PROJECT / "docs" / "operations.md").read_text()
HOPS = {hop.name: hop for hop in hops()}
ALARMS = resources("AWS::CloudWatch::Alarm")
QUEUE_ALARMS = {name: alarm for name, alarm in ALARMS.items() if alarm["Namespace"] == "AWS/SQS"}
_COLUMNS = ["Hop", "What goes over it", "Retry bound", "Dead-letter queue", "Alarm"]


def table() -> dict[str, dict[str, str]]:
    """The rows of the table "Hops" by hop, each by column."""
    lines = [line.strip("|\n ") for line in TEXT.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert header == [*_COLUMNS, "Idempotency key", "Ordering", "Partial failure"]
    return {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in rows}


TABLE = table()


def test_no_hop_has_two_rows() -> None:
    named = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
    assert sorted(named) == sorted(set(named))


def test_every_hop_has_a_row_and_every_row_a_hop() -> None:
    assert sorted(TABLE) == sorted(HOPS)


@pytest.mark.parametrize("name", HOPS)
def test_row_says_all_there_is_to_say(name: str) -> None:
    assert [column for column, cell in TABLE[name].items() if not cell] == []


@pytest.mark.parametrize("hop", [hop for hop in HOPS.values() if hop.dead_letters], ids=lambda hop: hop.name)
def test_row_names_the_dead_letter_queue_and_its_alarm_as_the_template_has_them(hop: Hop) -> None:
    assert TABLE[hop.name]["Dead-letter queue"] == f"`{hop.dead_letters}`"
    assert TABLE[hop.name]["Alarm"] == f"`{alarm_on(hop.dead_letters)}`"


@pytest.mark.parametrize("name", [name for name, hop in HOPS.items() if not hop.dead_letters])
def test_row_of_a_hop_without_a_dead_letter_queue_names_none(name: str) -> None:
    assert "`" not in TABLE[name]["Dead-letter queue"]


def alarm_on(queue: str | None) -> str:
    """The alarm on a queue's messages."""
    (name,) = [name for name, one in QUEUE_ALARMS.items() if target_of(one["Dimensions"][0]["Value"]) == queue]
    return name


def test_every_resource_that_the_text_names_is_there() -> None:
    kinds = "Queue|Alarm|Table|Topic|Rule|Function|Subscription|Role|Bus|Bucket|Archive|Stream"
    named = set(re.findall(rf"\b((?:[A-Z][a-z]+)+(?:{kinds}))\b", TEXT))
    assert len(named) > 10
    assert named - written_template()["Resources"].keys() == set()


@pytest.mark.parametrize("alarm", ALARMS)
def test_alarm_names_a_runbook_that_names_what_it_watches(alarm: str) -> None:
    (title,) = re.findall(r'docs/operations\.md, "([^"]+)"', ALARMS[alarm]["AlarmDescription"])
    runbook = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    watched = ALARMS[alarm]["Dimensions"][0]["Value"]
    assert f"`{watched if isinstance(watched, str) else target_of(watched)}`" in runbook


def test_every_runbook_belongs_to_an_alarm() -> None:
    titles = set(re.findall(r"^## (.+)$", TEXT, re.MULTILINE)) - {"Hops"}
    named = {re.findall(r'md, "([^"]+)"', alarm["AlarmDescription"])[0] for alarm in ALARMS.values()}
    assert titles == named


def test_the_retry_bounds_in_the_table_are_the_templates() -> None:
    stream = resources("AWS::Lambda::EventSourceMapping", deployed=True)["ScoreTransactionsFunctionTransactions"]
    bound = f"{stream['MaximumRetryAttempts']} retries or {stream['MaximumRecordAgeInSeconds'] // 3600} h"
    assert TABLE["ScoreTransactionsFunctionTransactions"]["Retry bound"].startswith(bound)
    policy = resources("AWS::Events::Rule")["FraudAlertsRule"]["Targets"][0]["RetryPolicy"]
    bound = f"{policy['MaximumRetryAttempts']} retries or {policy['MaximumEventAgeInSeconds'] // 3600} h"
    assert TABLE["FraudAlertsRule"]["Retry bound"] == bound
    receives = resources("AWS::SQS::Queue")["NotifyCustomerQueue"]["RedrivePolicy"]["maxReceiveCount"]
    assert TABLE["NotifyCustomerFunctionAlerts"]["Retry bound"] == f"{receives} receives"
