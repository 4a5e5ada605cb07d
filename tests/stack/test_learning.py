"""Cases on the deployed stack: a flag becomes a case, an analyst closes it, and scoring has learned from it.

A terminal's risk looks at labels that are seven days old, and the stream takes no record that is older than five and
a half: no test can stream both a fraud and what is scored by its label. So the past is dated: scoring's own code, with
its own store on the stack's own tables, scored it eight days ago by its clock. All that follows is done by the stack.
"""

import itertools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from backbone import contracts
from backbone.contracts import Metadata
from backbone.publishing import EventBus
from fraud_model import FraudModel
from local.api_client import ask
from local.process import EngineProcess
from quarantine import Quarantine
from scoring import score_batch
from stream_records import StreamRecord
from tests.engine.waiting import wait_until
from tests.stack.agent_tools_calls import tool_said
from tests.stack.deployed import Stack, a_transaction, body_of, iam_decision, now, table_arn
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_documents_api import Somebody, somebody
from tests.stack.test_failures import denied
from transaction import Transaction
from transaction_store import CHUNK_SIZE, TransactionStore

DAY = 86_400
EIGHT_DAYS_AGO = 8 * DAY
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class People:
    """An analyst, and the customer whose card was used."""

    anna: Somebody
    customer: Somebody


@pytest.fixture(scope="module")
def people(stack: Stack) -> People:
    return People(somebody(stack, "analyst"), somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}"))


@pytest.fixture(scope="module")
def cases_url(stack: Stack, engine: EngineProcess) -> str:
    """The path-shaped local address of the API; on AWS it is the output CasesUrl."""
    return f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/cases"


@pytest.fixture(scope="module")
def scored_in_the_past(stack: Stack, model: FraudModel) -> Callable[..., None]:
    """Scores transactions at the time at which they happened, into the stack's tables and onto its bus."""
    dynamodb, outputs = stack.client("dynamodb"), stack.outputs
    score = partial(
        score_batch,
        store=TransactionStore(dynamodb, outputs["TransactionsTableName"], outputs["ProfilesTableName"], 90),
        score=model.score,
        facts=model,
        bus=EventBus(stack.client("events"), outputs["EventBusName"]),
        quarantine=Quarantine(
            stack.client("sqs"),
            partial(stack.client, "s3"),
            outputs["TransactionQuarantineQueueUrl"],
            stack.resource("QuarantineBucket"),
        ),
        chunk_size=CHUNK_SIZE,
    )

    def scored(*transactions: Transaction) -> None:
        then = max(transaction.occurred_at for transaction in transactions) + 1.0
        records = [
            StreamRecord(
                event_id=f"shardId-past:{(number := next(_NUMBERS)):056}",
                sequence_number=f"{number:056}",
                partition_key=transaction.card_id,
                arrived_at=then,
                data=body_of(transaction),
            )
            for transaction in transactions
        ]
        result = score(records, now=then)
        assert (result.scored, result.failed_from) == (len(transactions), None), result

    return scored


@dataclass(frozen=True)
class Past:
    """A terminal with four payments on one day, two of them large ones that were flagged."""

    terminal_id: str
    flagged: Transaction
    also_flagged: Transaction

    @property
    def day(self) -> int:
        return self.flagged.occurred_at // DAY


@pytest.fixture
def a_past(people: People, scored_in_the_past: Callable[..., None]) -> Callable[[], Past]:
    """A terminal of its own, eight days ago; the large payments are the customer's."""

    def made() -> Past:
        then, terminal_id = now() - EIGHT_DAYS_AGO, f"TERM-{uuid.uuid4().hex[:12]}"
        changes: dict[str, Any] = {"terminal_id": terminal_id, "occurred_at": then}
        large = {"amount_minor": 900_000, "customer_id": people.customer.customer_id}
        flagged = [a_transaction(**large, **changes) for _ in range(2)]
        scored_in_the_past(*(a_transaction(**changes) for _ in range(2)), *flagged)
        return Past(terminal_id, *flagged)

    return made


def open_case(stack: Stack, transaction: Transaction, role: str = "customer") -> str:
    """open_case of agent_tools, as answer_chat invokes it; the case's id."""
    arguments = {"subject": "I did not pay this", "transactionId": transaction.transaction_id}
    body = tool_said(
        stack,
        "open_case",
        arguments,
        customer_id=transaction.customer_id,
        about=transaction.transaction_id,
        role=role,
    )
    assert body["state"] == "done", body
    return str(body["data"]["case"]["caseId"])


def about(detail_type: str, case_id: str) -> Callable[[Envelope], bool]:
    return lambda event: event["detail-type"] == detail_type and event["detail"]["data"].get("caseId") == case_id


def label_of(stack: Stack, transaction: Transaction, case_id: str) -> str:
    """The transaction's label, once it is this case's."""

    def labelled() -> str | None:
        row = stack.row(transaction.transaction_id)
        return str(row["label"]) if row.get("labelCaseId") == case_id else None

    found = wait_until(labelled, 30, f"the label of case {case_id}")
    assert found
    return found


def counts_at(stack: Stack, past: Past) -> tuple[int, int]:
    """Transactions and known frauds at the terminal on the day of its past."""
    profiles = stack.outputs["ProfilesTableName"], {"profileId": {"S": f"terminal#{past.terminal_id}"}}
    item = stack.client("dynamodb").get_item(TableName=profiles[0], Key=profiles[1], ConsistentRead=True)["Item"]
    transactions, frauds = (int(item.get(f"{kind}{past.day}", {"N": "0"})["N"]) for kind in "nf")
    return transactions, frauds


def close(cases_url: str, token: str | None, case_id: str, outcome: str) -> tuple[int, Any]:
    return ask("POST", f"{cases_url}/{case_id}/close", token, {"outcome": outcome})


def test_fraud_that_an_analyst_confirms_raises_the_score_of_the_next_transaction_at_its_terminal(
    stack: Stack, bus: BusObserver, cases_url: str, people: People, a_past: Callable[[], Past]
) -> None:
    learned, unlearned = a_past(), a_past()
    fraud = learned.flagged
    flagged = bus.wait_for(
        lambda event: event["detail"]["data"].get("transactionId") == fraud.transaction_id, "TransactionFlagged"
    )
    assert flagged["detail-type"] == "TransactionFlagged"
    case_id = open_case(stack, fraud)
    opened = bus.wait_for(about("CaseOpened", case_id), "CaseOpened")
    listed = wait_until(
        lambda: [one for one in ask("GET", cases_url, people.anna.token)[1]["cases"] if one["caseId"] == case_id],
        10,
        "the case in the list",
    )
    assert listed[0]["subject"] == "I did not pay this"
    status, view = ask("GET", f"{cases_url}/{case_id}", people.anna.token)
    assert (status, view["transaction"]["flagged"], view["status"]) == (200, True, "open")
    assert "AMOUNT_ABOVE_LIMIT" in {reason["code"] for reason in view["transaction"]["reasons"]}

    assert close(cases_url, people.anna.token, case_id, "confirmed_fraud")[0] == 200

    closed = bus.wait_for(about("CaseClosed", case_id), "CaseClosed")
    assert contracts.violation("backbone.cases/CaseClosed.v1", closed["detail"]) is None
    assert closed["detail"]["metadata"]["correlationId"] == opened["detail"]["metadata"]["correlationId"]
    assert closed["detail"]["metadata"]["causationId"] == opened["detail"]["metadata"]["eventId"]
    assert label_of(stack, fraud, case_id) == "fraud"
    assert (counts_at(stack, learned), counts_at(stack, unlearned)) == ((4, 1), (4, 0))
    second = open_case(stack, learned.also_flagged)
    assert close(cases_url, people.anna.token, second, "confirmed_fraud")[0] == 200
    assert label_of(stack, learned.also_flagged, second) == "fraud"

    at = now()
    there, elsewhere = (a_transaction(terminal_id=past.terminal_id, occurred_at=at) for past in (learned, unlearned))
    stack.put(there, elsewhere)
    rows = [stack.row(one.transaction_id) for one in (there, elsewhere)]
    features = [json.loads(row["explanation"])["features"] for row in rows]
    differing = {
        name: (features[0][name], features[1][name]) for name in features[0] if features[0][name] != features[1][name]
    }
    assert differing == {"terminal_risk_7d": (0.5, 0.0), "terminal_risk_30d": (0.5, 0.0)}
    scores = [float(row["score"]) for row in rows]
    print(f"score at the terminal with the label: {scores[0]:.6f}; in a world without it: {scores[1]:.6f}")  # noqa: T201
    assert scores[0] > scores[1]
    assert [row["flagged"] for row in rows] == [True, False]


def test_investigation_is_told_at_once_what_a_case_found_at_the_terminal_and_of_the_card(
    stack: Stack, cases_url: str, people: People, a_past: Callable[[], Past]
) -> None:
    past = a_past()
    case_id = open_case(stack, past.flagged)
    assert close(cases_url, people.anna.token, case_id, "confirmed_fraud")[0] == 200
    assert label_of(stack, past.flagged, case_id) == "fraud"

    about_it = {"transactionId": past.also_flagged.transaction_id}
    whose = {"customer_id": past.also_flagged.customer_id, "about": past.also_flagged.transaction_id, "role": "agent"}
    found = {
        tool: tool_said(stack, tool, arguments, **whose)
        for tool, arguments in (("review_terminal", about_it), ("review_card", about_it), ("review_past_cases", {}))
    }

    assert {body["state"] for body in found.values()} == {"done"}
    of_the_terminal = found["review_terminal"]["data"]
    assert (of_the_terminal["otherPayments"], of_the_terminal["knownFrauds"]) == (3, 1)
    assert of_the_terminal["flaggedOthers"] == {"fraud": 1, "genuine": 0, "undecided": 0}
    assert "In the 30 days up to transaction" in found["review_card"]["facts"][0]
    assert found["review_past_cases"]["data"]["closed"]["confirmed_fraud"] >= 1
    asked_by_its_customer = tool_said(stack, "review_terminal", about_it, **whose | {"role": "customer"})
    assert asked_by_its_customer["state"] == "refused"


def test_case_counts_once_and_a_later_one_that_says_otherwise_corrects_it_once(
    stack: Stack, cases_url: str, people: People, a_past: Callable[[], Past]
) -> None:
    past = a_past()
    first, second = (open_case(stack, past.flagged) for _ in range(2))
    assert close(cases_url, people.anna.token, first, "confirmed_fraud")[0] == 200
    assert label_of(stack, past.flagged, first) == "fraud"
    status, refused = close(cases_url, people.anna.token, first, "genuine")
    assert (status, refused["case"]["outcome"]) == (409, "confirmed_fraud")
    assert counts_at(stack, past) == (4, 1)
    assert close(cases_url, people.anna.token, second, "genuine")[0] == 200
    assert label_of(stack, past.flagged, second) == "genuine"
    assert counts_at(stack, past) == (4, 0)

    queue = stack.queue("OutcomesQueue")
    for case_id, outcome in ((first, "confirmed_fraud"), (second, "genuine"), (first, "confirmed_fraud")):
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(closing_of(stack, case_id, outcome)))
    wait_until(lambda: stack.depth("OutcomesQueue") == 0, 30, "the queue of outcomes empty")
    assert (counts_at(stack, past), stack.row(past.flagged.transaction_id)["labelCaseId"]) == ((4, 0), second)
    assert stack.depth("OutcomesDeadLetterQueue") == 0


def closing_of(stack: Stack, case_id: str, outcome: str) -> dict[str, Any]:
    """The case's CaseClosed again, as the bus delivers it."""
    key, table = {"caseId": {"S": case_id}}, stack.outputs["CasesTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    row = {name: value["S"] for name, value in item.items() if "S" in value}
    data = {
        "caseId": case_id,
        "customerId": row["customerId"],
        "transactionId": row["transactionId"],
        "kind": row["kind"],
        "openedBy": row["openedByRole"],
        "outcome": outcome,
        "closedBy": "analyst",
        "closedAt": row["closedAt"],
    }
    metadata = Metadata(contracts.event_id("CaseClosed", case_id), 1, "c", "c", row["closedAt"], "tests")
    event = contracts.build("CaseClosed", data, metadata)
    return {"detail-type": event.detail_type, "source": event.source, "detail": event.detail()}


def test_who_may_not_close_or_see_a_case_is_refused(
    stack: Stack, cases_url: str, people: People, a_past: Callable[[], Past]
) -> None:
    past = a_past()
    case_id, own = open_case(stack, past.flagged, role="agent"), open_case(stack, past.flagged)
    stranger = somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}")
    themselves = somebody(stack, "analyst", past.flagged.customer_id)
    assert close(cases_url, None, own, "genuine")[0] == 401
    assert close(cases_url, people.customer.token, own, "genuine")[0] == 403
    assert close(cases_url, themselves.token, own, "genuine")[0] == 403
    assert close(cases_url, people.anna.token, str(uuid.uuid4()), "genuine")[0] == 404
    assert close(cases_url, people.anna.token, own, "perhaps")[0] == 400
    assert ask("GET", f"{cases_url}/{own}", people.customer.token)[0] == 200
    assert ask("GET", f"{cases_url}/{case_id}", people.customer.token)[0] == 404
    assert ask("GET", f"{cases_url}/{own}", stranger.token)[0] == 404
    assert counts_at(stack, past) == (4, 0)


def test_end_of_a_case_is_told_of_and_learned_once_the_bus_can_be_reached_again(
    stack: Stack, bus: BusObserver, cases_url: str, people: People, a_past: Callable[[], Past]
) -> None:
    past = a_past()
    case_id = open_case(stack, past.flagged)
    with denied(stack, "CloseCaseRole", "events:PutEvents"):
        assert close(cases_url, people.anna.token, case_id, "confirmed_fraud")[0] == 200
    run = stack.client("lambda").invoke(FunctionName=stack.resource("ExpireActionsFunction"), Payload=b"{}")
    assert "FunctionError" not in run, run["Payload"].read()
    bus.wait_for(about("CaseClosed", case_id), "CaseClosed")
    assert label_of(stack, past.flagged, case_id) == "fraud"
    assert counts_at(stack, past) == (4, 1)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("ReadCasesRole", "dynamodb:UpdateItem", "CasesTable"),
        ("CloseCaseRole", "dynamodb:PutItem", "CasesTable"),
        ("CloseCaseRole", "dynamodb:UpdateItem", "ProfilesTable"),
        ("LearnFromOutcomeRole", "dynamodb:PutItem", "ProfilesTable"),
        ("LearnFromOutcomeRole", "dynamodb:UpdateItem", "CasesTable"),
        ("AgentToolsRole", "dynamodb:UpdateItem", "ProfilesTable"),
    ],
)
def test_nobody_labels_or_closes_but_who_is_meant_to(stack: Stack, role: str, action: str, resource: str) -> None:
    assert iam_decision(stack, role, action, table_arn(stack, resource)) == "implicitDeny"
