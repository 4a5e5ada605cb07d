"""The start_document_summary handler: each arrival starts one summary, however often it is delivered."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from arrivals import UNASSIGNED, Arrival, SummaryInput, arrival_of, begin
from backbone.errors import Rejected, Retryable
from summary_starter import SummaryExecutions
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import ENVIRONMENT, Resources

NAME = "start_document_summary"


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    role = "arn:aws:iam::123456789012:role/states"
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    resources.client("stepfunctions").create_state_machine(
        name=ENVIRONMENT["STATE_MACHINE_ARN"].rpartition(":")[2], definition=definition, roleArn=role
    )
    return handler_module(NAME)


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def given_back(event: dict[str, Any], *positions: int) -> dict[str, Any]:
    """The answer that gives these messages of ``event`` back."""
    return {"batchItemFailures": [{"itemIdentifier": event["Records"][n]["messageId"]} for n in positions]}


def executions(resources: Resources) -> list[dict[str, Any]]:
    """The inputs of all executions, by the executions' names."""
    states = resources.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=ENVIRONMENT["STATE_MACHINE_ARN"])["executions"]
    return [
        json.loads(states.describe_execution(executionArn=one["executionArn"])["input"])
        for one in sorted(listed, key=lambda one: str(one["name"]))
    ]


def an_envelope(key: str, version: str = "v1", bucket: str = "documents") -> dict[str, Any]:
    event: dict[str, Any] = json.loads(sample(NAME, "good")["Records"][0]["body"])
    event["detail"]["bucket"]["name"] = bucket
    event["detail"]["object"] |= {"key": key, "version-id": version}
    return event


def an_arrival(key: str, version: str = "v1", bucket: str = "documents") -> Arrival:
    arrival = arrival_of(an_envelope(key, version, bucket))
    assert arrival is not None
    return arrival


# ---- which document, whose, and the execution's name


def test_an_owned_key_says_whose_document_it_is() -> None:
    arrival = an_arrival("incoming/CUST-000042/D-1/my contract (1).pdf")
    assert (arrival.customer_id, arrival.document_id) == ("CUST-000042", "D-1")
    assert (arrival.file_name, arrival.version_id) == ("my contract (1).pdf", "v1")
    assert arrival.correlation_id == "D-1"
    assert arrival.causation_id == "17793124-05d4-b198-2fde-7ededc63b103"


@pytest.mark.parametrize(
    "key",
    [
        "incoming/report.pdf",
        "incoming/CUST-000042/report.pdf",
        "incoming/CUST-000042/not_an_id/report.pdf",
        "incoming/CUST 42/D-1/report.pdf",
        "incoming/CUST-000042/D-1/folder/report.pdf",
        f"incoming/CUST-000042/{'D' * 65}/report.pdf",
    ],
)
def test_any_other_key_is_nobodys_and_gets_an_id_that_stays(key: str) -> None:
    arrival = an_arrival(key)
    assert arrival.customer_id == UNASSIGNED
    assert arrival.document_id == an_arrival(key, version="v2").document_id
    assert arrival.document_id != an_arrival(key, bucket="other").document_id
    assert arrival.file_name == "report.pdf"


@given(st.text(min_size=1, max_size=900), st.text(min_size=1, max_size=100))
def test_any_arrival_has_an_execution_name_that_step_functions_takes(key: str, version: str) -> None:
    arrival = arrival_of(an_envelope(f"incoming/{key}x", version))
    assert arrival is not None
    assert len(arrival.execution_name) <= 80
    assert all(
        character.isascii() and (character.isalnum() or character == "-") for character in arrival.execution_name
    )


def test_bucket_key_and_version_each_change_the_name() -> None:
    key = "incoming/C-1/D-1/a.pdf"
    names = {
        an_arrival(key).execution_name,
        an_arrival(key, version="v2").execution_name,
        an_arrival(key, bucket="b").execution_name,
        an_arrival("incoming/C-1/D-1/b.pdf").execution_name,
    }
    assert len(names) == 4
    assert an_arrival(key).execution_name in names


def test_a_folder_is_no_arrival() -> None:
    assert arrival_of(an_envelope("incoming/scans/")) is None


@pytest.mark.parametrize(
    "envelope", [None, [], {}, {"detail": {}}, {"source": "aws.s3", "detail-type": "Object Created", "detail": {}}]
)
def test_what_is_no_arrival_is_rejected(envelope: object) -> None:
    with pytest.raises(Rejected):
        arrival_of(envelope)


# ---- order: the row first, then the execution


@dataclass
class FakeRows:
    away: bool = False
    begun: list[str] = field(default_factory=list)

    def begin(self, arrival: Arrival, now: float) -> None:  # noqa: ARG002 - protocol
        if self.away:
            raise Retryable("table away")
        self.begun.append(arrival.execution_name)


@dataclass
class FakeSummaries:
    started: dict[str, SummaryInput] = field(default_factory=dict)

    def start(self, name: str, summary_input: SummaryInput) -> bool:
        return self.started.setdefault(name, summary_input) is summary_input


def test_a_second_delivery_starts_nothing() -> None:
    arrival, summaries = an_arrival("incoming/C-1/D-1/a.pdf"), FakeSummaries()
    assert begin(arrival, rows=FakeRows(), summaries=summaries, now=0.0)
    assert not begin(arrival, rows=FakeRows(), summaries=summaries, now=1.0)
    assert list(summaries.started) == [arrival.execution_name]


def test_nothing_is_started_where_the_row_could_not_be_written() -> None:
    summaries = FakeSummaries()
    with pytest.raises(Retryable):
        begin(an_arrival("incoming/C-1/D-1/a.pdf"), rows=FakeRows(away=True), summaries=summaries, now=0.0)
    assert summaries.started == {}


# ---- the handler


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


def test_the_good_sample_starts_a_summary_and_says_so_on_the_row(module: Any, resources: Resources) -> None:
    event = sample(NAME, "good")
    assert invoke(module, event) == given_back(event)
    (said,) = executions(resources)
    assert said == {
        "documentId": "DOC-SAMPLE-1",
        "customerId": "CUST-000042",
        "fileName": "terms-and-conditions.pdf",
        "key": "incoming/CUST-000042/DOC-SAMPLE-1/terms-and-conditions.pdf",
        "versionId": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
        "correlationId": "DOC-SAMPLE-1",
        "causationId": "17793124-05d4-b198-2fde-7ededc63b103",
    }
    (row,) = resources.rows("documents")
    assert (row["status"], row["customerId"]) == ({"S": "processing"}, {"S": "CUST-000042"})
    assert row["createdAt"]["S"].endswith("Z")


def test_the_bad_sample_gives_back_what_cannot_be_read_and_starts_the_rest(module: Any, resources: Resources) -> None:
    event = sample(NAME, "bad")
    assert invoke(module, event) == given_back(event, 1, 2, 3, 4)
    assert [said["documentId"] for said in executions(resources)] == ["DOC-SAMPLE-2"]


def test_the_edge_sample_starts_each_version_once_and_no_folder(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sample(NAME, "edge")
    capsys.readouterr()
    assert invoke(module, event) == given_back(event)
    assert sorted(said["customerId"] for said in executions(resources)) == ["CUST-000042", "CUST-000042", UNASSIGNED]
    assert metrics_in(capsys.readouterr().out) == {"UploadsReceived": 5, "SummariesStarted": 3, "UploadsRepeated": 1}


def test_a_late_second_delivery_does_not_undo_what_came_of_the_first(module: Any, resources: Resources) -> None:
    event = sample(NAME, "good")
    invoke(module, event)
    resources.client("dynamodb").update_item(
        TableName="documents",
        Key={"documentId": {"S": "DOC-SAMPLE-1"}},
        UpdateExpression="SET #status = :done",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":done": {"S": "summarized"}},
    )
    assert invoke(module, event) == given_back(event)
    assert resources.rows("documents")[0]["status"] == {"S": "summarized"}
    assert len(executions(resources)) == 1


def test_the_row_of_the_upload_keeps_its_name_and_loses_an_old_reason(module: Any, resources: Resources) -> None:
    said = {
        "documentId": "DOC-SAMPLE-1",
        "customerId": "CUST-000042",
        "fileName": "Bedingungen für alle.pdf",
        "createdAt": "2026-01-01T12:00:00.000Z",
    }
    item = {name: {"S": value} for name, value in (said | {"status": "rejected", "reason": "x"}).items()}
    resources.client("dynamodb").put_item(TableName="documents", Item=item)
    invoke(module, sample(NAME, "good"))
    (row,) = resources.rows("documents")
    assert {name: row[name]["S"] for name in said} == said
    assert (row["status"], "reason" in row) == ({"S": "processing"}, False)


def test_a_key_that_names_another_customers_document_starts_nothing(module: Any, resources: Resources) -> None:
    item = {"documentId": {"S": "DOC-SAMPLE-1"}, "customerId": {"S": "CUST-000007"}, "status": {"S": "uploading"}}
    resources.client("dynamodb").put_item(TableName="documents", Item=item)
    with pytest.raises(BatchProcessingError, match="another customer's"):
        invoke(module, sample(NAME, "good"))
    assert executions(resources) == []
    assert resources.rows("documents")[0]["customerId"] == {"S": "CUST-000007"}


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("UpdateItem", "ThrottlingException"),
        ("StartExecution", "ThrottlingException"),
        ("StartExecution", "ExecutionLimitExceeded"),
    ],
)
def test_a_busy_service_gives_the_message_back_and_the_second_try_starts_it(
    module: Any, resources: Resources, operation: str, code: str
) -> None:
    event = sample(NAME, "good")
    with failing(operation, code), pytest.raises(BatchProcessingError, match=code):
        invoke(module, event)
    assert executions(resources) == []
    assert invoke(module, event) == given_back(event)
    assert len(executions(resources)) == 1


def test_an_execution_that_exists_is_done_and_anything_else_is_retryable(memory_aws: Callable[[str], Any]) -> None:
    states = SummaryExecutions(memory_aws("stepfunctions"), ENVIRONMENT["STATE_MACHINE_ARN"])
    said = SummaryInput("D", "C", "f", "k", "v", "D", "e")
    with failing("StartExecution", "ExecutionAlreadyExists"):
        assert states.start("name", said) is False
    with failing("StartExecution", "StateMachineDeleting"), pytest.raises(Retryable) as raised:
        states.start("name", said)
    assert isinstance(raised.value.__cause__, ClientError)
