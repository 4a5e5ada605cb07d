"""What the deployed roles may do: their work, and not the next thing to it."""

import pytest

from tests.stack.deployed import Stack, iam_decision

# role, action, the resource's logical id (or an ARN), whether it is allowed. What each may publish stands in conditions
# that the engine's simulator does not read; tests/template holds them, and every other test here runs under them.
CASES = [
    ("ScoreTransactionsRole", "dynamodb:PutItem", "TransactionsTable", True),
    ("ScoreTransactionsRole", "dynamodb:UpdateItem", "ProfilesTable", True),
    ("ScoreTransactionsRole", "dynamodb:Scan", "TransactionsTable", False),
    ("ScoreTransactionsRole", "dynamodb:DeleteItem", "TransactionsTable", False),
    ("ScoreTransactionsRole", "dynamodb:PutItem", "CustomerInboxTable", False),
    ("ScoreTransactionsRole", "kinesis:PutRecord", "TransactionsStream", False),
    ("ScoreTransactionsRole", "sqs:ReceiveMessage", "TransactionQuarantineQueue", False),
    ("ScoreTransactionsRole", "sqs:SendMessage", "NotifyCustomerQueue", False),
    ("ScoreTransactionsRole", "s3:PutObject", "arn:aws:s3:::somebody-elses/quarantine/1", False),
    ("ScoreTransactionsRole", "sagemaker:InvokeEndpoint", "*", False),
    ("ScoreTransactionsRole", "iam:PassRole", "*", False),
    ("NotifyCustomerRole", "dynamodb:PutItem", "CustomerInboxTable", True),
    ("NotifyCustomerRole", "dynamodb:Query", "CustomerInboxTable", False),
    ("NotifyCustomerRole", "dynamodb:GetItem", "TransactionsTable", False),
    ("NotifyCustomerRole", "sqs:SendMessage", "NotifyCustomerQueue", False),
    ("CreateUploadRole", "dynamodb:PutItem", "DocumentsTable", True),
    ("CreateUploadRole", "dynamodb:GetItem", "DocumentsTable", False),
    ("CreateUploadRole", "s3:GetObject", "arn:aws:s3:::anything/incoming/1", False),
    ("CreateUploadRole", "cognito-idp:AdminGetUser", "*", False),
    ("ReadDocumentsRole", "dynamodb:GetItem", "DocumentsTable", True),
    ("ReadDocumentsRole", "dynamodb:Scan", "DocumentsTable", False),
    ("ReadDocumentsRole", "dynamodb:PutItem", "DocumentsTable", False),
    ("ReadDocumentsRole", "s3:PutObject", "*", False),
    ("RejectDocumentRole", "dynamodb:DeleteItem", "DocumentsTable", False),
    ("SummarizeChunkRole", "bedrock:InvokeModelWithResponseStream", "*", False),
    ("StoreSummaryRole", "s3:DeleteObject", "arn:aws:s3:::anything/summaries/1", False),
    ("TransactionsApiRole", "kinesis:PutRecord", "TransactionsStream", True),
    ("TransactionsApiRole", "kinesis:GetRecords", "TransactionsStream", False),
]
ARNS = {
    "TransactionsTable": "dynamodb:{region}:{account}:table/{id}",
    "ProfilesTable": "dynamodb:{region}:{account}:table/{id}",
    "CustomerInboxTable": "dynamodb:{region}:{account}:table/{id}",
    "DocumentsTable": "dynamodb:{region}:{account}:table/{id}",
    "TransactionsStream": "kinesis:{region}:{account}:stream/{id}",
    "EventBus": "events:{region}:{account}:event-bus/{id}",
}


@pytest.mark.parametrize(("role", "action", "resource", "allowed"), CASES)
def test_role_may_do_its_work_and_not_the_next_thing(
    stack: Stack, role: str, action: str, resource: str, allowed: bool
) -> None:
    assert iam_decision(stack, role, action, arn(stack, resource)) == ("allowed" if allowed else "implicitDeny")


def arn(stack: Stack, resource: str) -> str:
    """The ARN of a resource by its logical id; what is an ARN or a star stays."""
    if resource == "*" or resource.startswith("arn:"):
        return resource
    if resource.endswith("Queue"):
        return stack.queue(resource).arn
    region = stack.client("sqs").meta.region_name
    return "arn:aws:" + ARNS[resource].format(region=region, account="000000000000", id=stack.resource(resource))
