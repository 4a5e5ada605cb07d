"""start_investigation: a flag wakes one investigation, named by its event, however often and in whatever company."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from backbone import contracts
from backbone.contracts import Event
from backbone.errors import Rejected, Retryable
from backbone.investigations import Investigation, case_id_of
from backbone.json_objects import decode
from flagged_cases import begin
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import ENVIRONMENT, Resources

NAME = "start_investigation"
MACHINE = ENVIRONMENT["INVESTIGATION_MACHINE_ARN"]


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    resources.client("stepfunctions").create_state_machine(
        name=MACHINE.rpartition(":")[2], definition=definition, roleArn="arn:aws:iam::123456789012:role/states"
    )
    return handler_module(NAME)


def deliver(module: Any, event: dict[str, Any]) -> list[int]:
    """The positions of the messages that were given back."""
    answer = module.handler(event, Context())
    positions = [record["messageId"] for record in event["Records"]]
    return [positions.index(one["itemIdentifier"]) for one in answer["batchItemFailures"]]


def executions(resources: Resources) -> dict[str, dict[str, Any]]:
    """The inputs of all executions by the executions' names."""
    states = resources.client("stepfunctions")
    return {
        one["name"]: json.loads(states.describe_execution(executionArn=one["executionArn"])["input"])
        for one in states.list_executions(stateMachineArn=MACHINE)["executions"]
    }


def a_flag(depth: int = 0, **data: Any) -> dict[str, Any]:
    """TransactionFlagged as the queue delivers it, of its own for each transaction."""
    envelope: dict[str, Any] = json.loads(sample(NAME, "good")["Records"][0]["body"])
    detail = envelope["detail"]
    detail["data"] |= data
    detail["metadata"]["eventId"] = contracts.event_id("TransactionFlagged", detail["data"]["transactionId"])
    if depth:
        detail["metadata"]["causationDepth"] = depth
    return envelope


def parsed(envelope: dict[str, Any]) -> Event:
    return contracts.parse("TransactionFlagged", envelope)


@dataclass
class FakeInvestigations:
    started: dict[str, dict[str, Any]] = field(default_factory=dict)

    def start(self, name: str, given: dict[str, Any]) -> bool:
        return self.started.setdefault(name, given) is given


# ---- which investigation a flag wakes


def test_investigation_is_named_by_the_flags_event_and_is_about_what_the_flag_says() -> None:
    flag, investigations = parsed(a_flag(depth=3)), FakeInvestigations()
    assert begin(flag, investigations=investigations, maximum_depth=20)
    ((name, given),) = investigations.started.items()
    assert name == flag.metadata.event_id
    assert decode(Investigation, given) == Investigation(
        case_id=case_id_of(flag.metadata.event_id),
        transaction_id="TX-SAMPLE-3",
        customer_id="CUST-000042",
        card_id="CARD-000042",
        terminal_id="TERM-00007",
        correlation_id=flag.metadata.correlation_id,
        causation_id=flag.metadata.event_id,
        causation_depth=4,
    )


def test_two_flags_wake_two_investigations_of_two_cases() -> None:
    investigations = FakeInvestigations()
    for transaction in ("TX-1", "TX-2"):
        begin(parsed(a_flag(transactionId=transaction)), investigations=investigations, maximum_depth=20)
    assert len(investigations.started) == 2
    assert len({given["caseId"] for given in investigations.started.values()}) == 2


def test_flag_that_comes_again_wakes_nothing() -> None:
    flag, investigations = parsed(a_flag()), FakeInvestigations()
    woken = [begin(flag, investigations=investigations, maximum_depth=20) for _ in range(3)]
    assert (woken, len(investigations.started)) == ([True, False, False], 1)


@pytest.mark.parametrize(("depth", "is_followed"), [(0, True), (19, True), (20, False), (999, False)])
def test_chain_of_events_is_followed_up_to_its_bound_and_no_further(depth: int, is_followed: bool) -> None:
    investigations = FakeInvestigations()
    if is_followed:
        assert begin(parsed(a_flag(depth)), investigations=investigations, maximum_depth=20)
    else:
        with pytest.raises(Rejected, match=f"{depth + 1} events from the outside; at most 20"):
            begin(parsed(a_flag(depth)), investigations=investigations, maximum_depth=20)
    assert len(investigations.started) == is_followed


# ---- the handler


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


def test_the_good_sample_starts_the_investigation_of_its_flag(module: Any, resources: Resources) -> None:
    assert deliver(module, sample(NAME, "good")) == []
    ((name, given),) = executions(resources).items()
    assert (name, given["transactionId"]) == ("52a8c919-6770-55ba-bd26-6f8b49f78ac4", "TX-SAMPLE-3")
    assert (given["caseId"], given["causationDepth"]) == (case_id_of(name), 1)


def test_the_bad_sample_gives_back_what_cannot_be_read_and_what_lies_too_deep_and_starts_the_rest(
    module: Any, resources: Resources
) -> None:
    assert deliver(module, sample(NAME, "bad")) == [1, 2, 3, 4]
    assert len(executions(resources)) == 1


def test_the_edge_sample_starts_each_flag_once(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert deliver(module, sample(NAME, "edge")) == []
    assert sorted(given["causationDepth"] for given in executions(resources).values()) == [1, 1, 20]
    assert metrics_in(capsys.readouterr().out)["FlagsReceived"] == 4


def test_flag_that_comes_again_once_its_investigation_has_ended_starts_nothing_and_is_counted_as_repeated(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sqs_event(a_flag())
    assert deliver(module, event) == []
    assert metrics_in(capsys.readouterr().out) == {"FlagsReceived": 1, "InvestigationsStarted": 1}
    states = resources.client("stepfunctions")
    (running,) = states.list_executions(stateMachineArn=MACHINE)["executions"]
    states.stop_execution(executionArn=running["executionArn"])
    assert deliver(module, event) == []
    assert metrics_in(capsys.readouterr().out) == {"FlagsReceived": 1, "FlagsRepeated": 1}
    assert len(executions(resources)) == 1


def test_flag_that_lies_too_deep_is_published_nowhere(module: Any, resources: Resources) -> None:
    assert deliver(module, sqs_event(a_flag(20))) == [0]
    assert (executions(resources), resources.published()) == ({}, [])


@pytest.mark.parametrize("body", ["not JSON", [], {}, {"detail-type": "TransactionFlagged"}])
def test_message_that_is_no_flag_fails_alone(module: Any, resources: Resources, body: object) -> None:
    event = sqs_event(a_flag(transactionId="TX-1"), body, a_flag(transactionId="TX-2"))
    assert deliver(module, event) == [1]
    assert sorted(given["transactionId"] for given in executions(resources).values()) == ["TX-1", "TX-2"]


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded", "StateMachineDoesNotExist"])
def test_flag_that_could_not_be_followed_is_given_back_and_followed_when_it_comes_again(
    module: Any, resources: Resources, code: str
) -> None:
    event = sqs_event(a_flag(transactionId="TX-1"), a_flag(transactionId="TX-2"))
    with failing("StartExecution", code):
        assert deliver(module, event) == [0]
    assert deliver(module, event) == []
    assert len(executions(resources)) == 2


def test_domain_passes_on_that_nothing_can_be_started_now() -> None:
    class Away:
        def start(self, name: str, given: dict[str, Any]) -> bool:
            raise Retryable(f"{name} {len(given)}")

    with pytest.raises(Retryable):
        begin(parsed(a_flag()), investigations=Away(), maximum_depth=20)
