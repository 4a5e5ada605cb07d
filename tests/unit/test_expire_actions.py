"""The expire_actions handler: what nobody decided is rejected once, and kept events leave in their order."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from backbone.errors import Retryable
from tests.unit.action_builder import ANNA, a_decision, action_in, an_analyst, put_action, seen_of
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("expire_actions")


def run(module: Any) -> dict[str, int]:
    swept: dict[str, int] = module.handler(sample("expire_actions", "good"), Context())
    return swept


def told(resources: Resources) -> list[tuple[str, str]]:
    return [(one["detail-type"], one["detail"]["data"]["actionId"]) for one in resources.published()]


@pytest.mark.parametrize("status", ["proposed", "half_approved"])
def test_action_that_nobody_decided_in_time_is_rejected_and_told_once(
    module: Any, resources: Resources, status: str
) -> None:
    action_id = put_action(resources, status=status, expires_at=int(time.time()))
    assert run(module) == {"expired": 1, "published": 0}
    assert run(module) == {"expired": 0, "published": 0}
    (envelope,) = resources.published()
    data = contracts.parse("ActionRejected", envelope).data
    assert (data["actionId"], data["cause"], data["decidedBy"]) == (action_id, "expired", [])
    assert (action_in(resources, action_id).status, action_in(resources, action_id).cause) == ("rejected", "expired")


def test_action_that_still_has_time_or_has_ended_is_left_alone(module: Any, resources: Resources) -> None:
    put_action(resources, expires_at=int(time.time()) + 60)
    for status in ("approved", "rejected", "done"):
        put_action(resources, status=status, expires_at=int(time.time()) - 60)
    before = resources.rows("actions")
    assert run(module) == {"expired": 0, "published": 0}
    assert (resources.rows("actions"), resources.published()) == (before, [])


def test_decision_whose_event_was_not_taken_is_told_of(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    action_ids = {"approve": put_action(resources), "reject": put_action(resources)}
    for decision, action_id in action_ids.items():
        event = a_decision(an_analyst(ANNA), action_id, {"decision": decision, "seen": seen_of(resources, action_id)})
        with failing("PutEvents", "ThrottlingException"):
            handler_module("decide_action").handler(event, Context())
    assert told(resources) == []
    assert run(module) == {"expired": 0, "published": 2}
    assert run(module) == {"expired": 0, "published": 0}
    assert told(resources) == [("ActionApproved", action_ids["approve"]), ("ActionRejected", action_ids["reject"])]


def test_proposal_that_was_not_told_of_is_told_of_before_it_expires(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, keeps_its_event=True, expires_at=int(time.time()) - 5)
    assert run(module) == {"expired": 1, "published": 1}
    assert told(resources) == [("ActionProposed", action_id), ("ActionRejected", action_id)]


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems", "PutEvents", "UpdateItem"])
def test_action_that_could_not_be_ended_stops_no_other_and_is_ended_by_the_next_run(
    module: Any, resources: Resources, operation: str
) -> None:
    action_ids = {put_action(resources, expires_at=int(time.time()) - 5) for _ in range(3)}
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable) as failed:
        run(module)
    assert sum(action_id in str(failed.value) for action_id in action_ids) == 1
    assert len([one for one in action_ids if action_in(resources, one).status == "rejected"]) >= 2
    run(module)
    assert {(detail_type, action_id) for detail_type, action_id in told(resources)} == {
        ("ActionRejected", action_id) for action_id in action_ids
    }
    assert all(action_in(resources, action_id).event_to_publish is None for action_id in action_ids)


def test_index_that_cannot_be_read_fails_the_run(module: Any) -> None:
    with failing("Query", "ThrottlingException"), pytest.raises(Retryable):
        run(module)


def test_more_than_a_page_expires_in_one_run(module: Any, resources: Resources) -> None:
    for age in range(105):
        put_action(resources, expires_at=int(time.time()) - age)
    assert run(module)["expired"] == 105


def test_what_expired_is_counted(module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    put_action(resources, expires_at=int(time.time()) - 5)
    run(module)
    assert metrics_in(capsys.readouterr().out) == {
        "ExpiryRuns": 1,
        "ActionsExpired": 1,
        "KeptEventsPublished": 0,
    }


@pytest.mark.parametrize("name", samples("expire_actions"))
def test_samples_find_nothing_to_do(module: Any, name: str) -> None:
    assert module.handler(sample("expire_actions", name), Context()) == {"expired": 0, "published": 0}
