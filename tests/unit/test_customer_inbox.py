"""The inbox in DynamoDB: one notice per flag, however often it is put."""

import pytest
from botocore.stub import Stubber

from backbone.clients import client as client_of
from backbone.errors import Retryable
from customer_inbox import CustomerInbox
from notifications import notice_for
from tests.unit.decision_builder import a_flagged_event
from tests.unit.resources import Resources
from tests.unit.transaction_builder import DAY, NOON


def test_a_notice_is_kept_once_however_often_it_is_put(resources: Resources) -> None:
    inbox = CustomerInbox(resources.client("dynamodb"), "inbox", 90)
    notice = notice_for(a_flagged_event(), NOON + 0.5)
    for _ in range(2):
        inbox.put(notice)
    (row,) = resources.rows("inbox")
    assert row == {
        "customerId": {"S": "CUST-000001"},
        "notificationId": {"S": notice.notification_id},
        "transactionId": {"S": "TX-1"},
        "cardId": {"S": "CARD-000001"},
        "severity": {"S": "medium"},
        "text": {"S": notice.text},
        "createdAt": {"N": f"{NOON}.500"},
        "expiresAt": {"N": str(NOON + 90 * DAY)},
    }


def test_notices_of_two_flags_stand_side_by_side(resources: Resources) -> None:
    inbox = CustomerInbox(resources.client("dynamodb"), "inbox", 90)
    for number in (1, 2):
        inbox.put(notice_for(a_flagged_event(number), NOON))
    assert {row["transactionId"]["S"] for row in resources.rows("inbox")} == {"TX-1", "TX-2"}


def test_a_throttled_table_is_retryable() -> None:
    client = client_of("dynamodb")
    with Stubber(client) as stubber:
        stubber.add_client_error("put_item", "ThrottlingException")
        with pytest.raises(Retryable, match=r"put_item inbox.*ThrottlingException"):
            CustomerInbox(client, "inbox", 90).put(notice_for(a_flagged_event(), NOON))
