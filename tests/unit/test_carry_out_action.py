"""The carry_out_action handler: what was approved is done once; what no row knows of is done never."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from tests.unit.action_builder import (
    ANNA,
    BEN,
    CORRELATION,
    a_decision,
    action_in,
    an_analyst,
    an_approval,
    put_action,
    seen_of,
)
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_card
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources

CARD = "CARD-000042"


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("carry_out_action")


@pytest.fixture
def approve(resources: Resources, handler_module: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """Approves an action through decide_action; answers the ActionApproved that came of it."""

    def approved(action_id: str, person_id: str = ANNA) -> dict[str, Any]:
        body = {"decision": "approve", "seen": seen_of(resources, action_id)}
        event = a_decision(an_analyst(person_id), action_id, body)
        request = Context(aws_request_id=f"{action_id}{person_id}")
        answer = handler_module("decide_action").handler(event, request)
        assert answer["statusCode"] == 200, answer
        envelopes = [one for one in resources.published() if one["detail-type"] == "ActionApproved"]
        return envelopes[0] if envelopes else {}

    return approved


def deliver(module: Any, *bodies: object) -> int:
    """How many messages were given back."""
    return len(module.handler(sqs_event(*bodies), Context())["batchItemFailures"])


def card(resources: Resources, card_id: str = CARD) -> dict[str, str]:
    row = next(row for row in resources.rows("cards") if row["cardId"]["S"] == card_id)
    return {name: next(iter(value.values())) for name, value in row.items()}


def result_of(resources: Resources, action_id: str) -> tuple[str, str | None]:
    row = next(row for row in resources.rows("actions") if row["actionId"]["S"] == action_id)
    return row["status"]["S"], row.get("result", {}).get("S")


def blocks(envelopes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in envelopes if one["detail-type"] == "CardBlocked"]


def test_approved_block_is_carried_out_on_the_analysts_word(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    action_id = put_action(resources)
    approval = approve(action_id)
    assert deliver(module, approval) == 0
    (envelope,) = resources.published()
    blocked = contracts.parse("CardBlocked", envelope)
    assert blocked.data == {
        "cardId": CARD,
        "customerId": OWNER,
        "reason": "stolen",
        "blockedBy": "analyst",
        "actionId": action_id,
    }
    assert blocked.metadata.correlation_id == CORRELATION
    assert blocked.metadata.causation_id == approval["detail"]["metadata"]["eventId"]
    row = card(resources)
    assert (row["status"], row["version"], row["changeId"], row["blockedByPerson"]) == ("blocked", "2", action_id, ANNA)
    assert "eventToPublish" not in row
    assert result_of(resources, action_id) == ("done", "done")


def test_agent_tools_reads_the_block_as_its_own(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    handler_module: Callable[[str], Any],
) -> None:
    put_card(resources)
    deliver(module, approve(put_action(resources)))
    known = handler_module("agent_tools").cards.get(CARD)
    assert (known.status, known.version, known.blocked_by, known.block_reason) == ("blocked", 2, "analyst", "stolen")
    assert known.blocked_at is not None


def test_approval_that_comes_again_changes_nothing_and_tells_nothing(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    assert deliver(module, approval, approval) == 0
    assert deliver(module, approval) == 0
    assert len(resources.published()) == 1
    assert card(resources)["version"] == "2"


def test_card_that_is_blocked_already_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources, status="blocked", changeId="another", blockedAt="2026-01-01T12:00:00.000Z")
    action_id = put_action(resources)
    assert deliver(module, approve(action_id)) == 0
    assert resources.published() == []
    assert card(resources)["changeId"] == "another"
    assert result_of(resources, action_id) == ("done", "nothing_to_do")


def test_what_else_waits_for_the_card_ends_with_it_and_is_told(
    module: Any, resources: Resources, approve: Callable[..., dict[str, Any]]
) -> None:
    put_card(resources)
    first, second = put_action(resources), put_action(resources, keeps_its_event=True)
    half = put_action(resources, amount_minor=600_000)
    approve(half, BEN)
    elsewhere = put_action(resources, card_id="CARD-000099")
    refund = put_action(resources, action="refund")
    approval = approve(first)
    assert deliver(module, approval) == 0
    told = [(one["detail-type"], one["detail"]["data"].get("actionId")) for one in resources.published()]
    assert told[0] == ("CardBlocked", first)
    assert sorted(told[1:]) == sorted(
        [("ActionProposed", second), ("ActionRejected", second), ("ActionRejected", half)]
    )
    for action_id in (second, half):
        ended = action_in(resources, action_id)
        assert (ended.status, ended.cause, ended.decided_by) == ("rejected", "nothing_to_do", ())
    for action_id in (elsewhere, refund):
        assert action_in(resources, action_id).status == "proposed"


def test_second_action_that_was_approved_for_the_card_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    first, second = put_action(resources), put_action(resources)
    approvals = [approve(first), approve(second)]
    assert deliver(module, *approvals) == 0
    assert len(resources.published()) == 1
    assert (result_of(resources, first), result_of(resources, second)) == (("done", "done"), ("done", "nothing_to_do"))


# ---- what is never done


def test_approval_that_no_row_knows_of_blocks_nothing(module: Any, resources: Resources) -> None:
    put_card(resources)
    action = action_in(resources, put_action(resources))
    assert deliver(module, an_approval(action)) == 1
    assert (card(resources)["status"], resources.published()) == ("active", [])


@pytest.mark.parametrize("status", ["half_approved", "rejected"])
def test_approval_of_what_was_not_approved_blocks_nothing(module: Any, resources: Resources, status: str) -> None:
    put_card(resources)
    action = action_in(resources, put_action(resources, status=status))
    assert deliver(module, an_approval(action)) == 1
    assert card(resources)["status"] == "active"


@pytest.mark.parametrize(
    "changes", [{"cardId": "CARD-000043"}, {"customerId": STRANGER}, {"decidedBy": [BEN]}, {"action": "refund"}]
)
def test_approval_that_says_something_else_than_its_row_blocks_nothing(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], changes: dict[str, Any]
) -> None:
    put_card(resources)
    put_card(resources, "CARD-000043", STRANGER)
    action_id = put_action(resources)
    approve(action_id)
    assert deliver(module, an_approval(action_in(resources, action_id), **changes)) == 1
    assert [row["status"]["S"] for row in resources.rows("cards")] == ["active", "active"]


@pytest.mark.parametrize("owner", [STRANGER, None], ids=["somebody else's", "no card"])
def test_card_that_is_not_the_customers_is_not_blocked(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], owner: str | None
) -> None:
    if owner is not None:
        put_card(resources, customer_id=owner)
    action_id = put_action(resources)
    assert deliver(module, approve(action_id)) == 1
    assert result_of(resources, action_id) == ("approved", None)


def test_action_that_nobody_can_do_yet_is_kept_for_a_person(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    action_id = put_action(resources, action="refund")
    assert deliver(module, approve(action_id)) == 1
    assert (card(resources)["status"], result_of(resources, action_id)) == ("active", ("approved", None))


# ---- services that are away


@pytest.mark.parametrize(
    ("operation", "after"),
    [("GetItem", 0), ("GetItem", 1), ("UpdateItem", 0), ("PutEvents", 0), ("Query", 1), ("UpdateItem", 2)],
)
def test_what_failed_half_way_is_finished_when_it_comes_again(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    operation: str,
    after: int,
) -> None:
    put_card(resources)
    action_id, other = put_action(resources), put_action(resources)
    approval = approve(action_id)
    with failing(operation, "ThrottlingException", after=after):
        assert deliver(module, approval) == 1
    assert deliver(module, approval) == 0
    told = resources.published()
    assert len({one["detail"]["metadata"]["eventId"] for one in blocks(told)}) == 1
    assert result_of(resources, action_id) == ("done", "done")
    assert (card(resources)["version"], action_in(resources, other).cause) == ("2", "nothing_to_do")


def test_card_that_somebody_changed_meanwhile_is_looked_at_again(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    with failing("UpdateItem", "ConditionalCheckFailedException"):
        assert deliver(module, approval) == 1
    assert deliver(module, approval) == 0


def test_approvals_and_what_was_carried_out_are_counted(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    capsys.readouterr()
    deliver(module, approval, "not JSON")
    assert metrics_in(capsys.readouterr().out) == {"ApprovalsReceived": 2, "ActionsCarriedOut": 1}


@pytest.mark.parametrize("name", samples("carry_out_action"))
def test_samples_are_given_back_by_a_stack_that_knows_of_no_approval(module: Any, name: str) -> None:
    event = sample("carry_out_action", name)
    given_back = module.handler(event, Context())["batchItemFailures"]
    assert len(given_back) == len(event["Records"]) == {"good": 1, "bad": 4, "edge": 3}[name]
