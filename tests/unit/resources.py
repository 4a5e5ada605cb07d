"""The stack's tables, queues, bucket and bus in moto, and the environment that tells the functions of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ENVIRONMENT = {
    "POWERTOOLS_METRICS_NAMESPACE": "ServerlessAiBackbone",
    "POWERTOOLS_SERVICE_NAME": "under_test",
    "EVENT_BUS_NAME": "events",
    "TRANSACTIONS_TABLE_NAME": "transactions",
    "PROFILES_TABLE_NAME": "profiles",
    "QUARANTINE_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/quarantine.fifo",
    "QUARANTINE_BUCKET_NAME": "quarantine",
    "ROW_RETENTION_DAYS": "90",
    "FRAUD_MODEL": "embedded",
    "INBOX_TABLE_NAME": "inbox",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
    "NOTICE_RETENTION_DAYS": "90",
    "DOCUMENTS_BUCKET_NAME": "documents",
    "DOCUMENTS_TABLE_NAME": "documents",
    "DOCUMENTS_INDEX_NAME": "byCustomer",
    "DOCUMENT_RETENTION_DAYS": "90",
    "MODEL_ID": "amazon.nova-lite-v1:0",
    "EMBEDDING_MODEL_ID": "amazon.titan-embed-text-v2:0",
    "INPUT_TOKEN_PRICE": "60",
    "OUTPUT_TOKEN_PRICE": "240",
    "CARDS_TABLE_NAME": "cards",
    "CARDS_INDEX_NAME": "CustomerCards",
    "TRANSACTIONS_INDEX_NAME": "CustomerTransactions",
    "TRANSACTIONS_TERMINAL_INDEX_NAME": "FlaggedAtTerminal",
    "CASES_TABLE_NAME": "cases",
    "CASES_STATUS_INDEX_NAME": "byStatus",
    "CASES_CUSTOMER_INDEX_NAME": "CustomerCases",
    "ACTIONS_TABLE_NAME": "actions",
    "CARD_BLOCK_APPROVAL_AMOUNT": "100000",
    "RELEASE_APPROVAL_AMOUNT": "20000",
    "ACTIONS_STATUS_INDEX_NAME": "byStatus",
    "ACTIONS_CARD_INDEX_NAME": "byCard",
    "APPROVAL_ATTEMPTS_TABLE_NAME": "approval-attempts",
    "FOUR_EYES_AMOUNT": "500000",
    "INVESTIGATION_STEPS_TABLE_NAME": "investigation-steps",
    "ACTION_TOKENS_TABLE_NAME": "action-tokens",
    "ACTION_TOKENS_KEY_ARN": "alias/action-tokens",
    "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:summarize-document",
    "INVESTIGATION_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:investigate-transaction",
    "MAXIMUM_CAUSATION_DEPTH": "20",
    "CHAT_CONNECTIONS_TABLE_NAME": "chat-connections",
    "CONVERSATIONS_TABLE_NAME": "conversations",
    "CONVERSATION_RETENTION_DAYS": "30",
    "AGENT_TOOLS_FUNCTION_NAME": "agent-tools",
    "CHAT_REQUESTS_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/chat-requests",
    "CHAT_URL": "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1",
    "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1",
}


@dataclass(frozen=True)
class Resources:
    """What a test asks of the resources after the function has run. ``client`` makes boto3 clients."""

    client: Callable[[str], Any]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All items of a table, in DynamoDB's typed JSON."""
        items: list[dict[str, Any]] = self.client("dynamodb").scan(TableName=table)["Items"]
        return items

    def quarantined(self) -> list[dict[str, Any]]:
        """The bodies of the messages in the quarantine, removed from it."""
        return self._drain(ENVIRONMENT["QUARANTINE_QUEUE_URL"])

    def published(self) -> list[dict[str, Any]]:
        """The events that were published on the bus since the last call, as envelopes."""
        return self._drain(self.client("sqs").get_queue_url(QueueName="published")["QueueUrl"])

    def _drain(self, queue_url: str) -> list[dict[str, Any]]:
        sqs = self.client("sqs")
        bodies: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def create_resources(client: Callable[[str], Any]) -> Resources:
    """Makes everything that ENVIRONMENT names, and a queue behind the bus that sees each event."""
    for table, *keys in (
        ("approval-attempts", "actionId", "attempt"),
        ("action-tokens", "caseId"),
        ("profiles", "profileId"),
        ("inbox", "customerId", "notificationId"),
        ("idempotency", "id"),
        ("chat-connections", "id"),
        ("conversations", "conversationId", "item"),
    ):
        client("dynamodb").create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    _create_actions(client)
    _create_steps(client)
    key_id = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName=ENVIRONMENT["ACTION_TOKENS_KEY_ARN"], TargetKeyId=key_id)
    _create_documents(client)
    _create_transactions(client)
    _create_cards(client)
    _create_cases(client)
    sqs = client("sqs")
    sqs.create_queue(QueueName="quarantine.fifo", Attributes={"FifoQueue": "true"})
    sqs.create_queue(QueueName="published")
    sqs.create_queue(QueueName="chat-requests")
    client("s3").create_bucket(Bucket="quarantine", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    events = client("events")
    events.create_event_bus(Name="events")
    events.put_rule(Name="everything", EventBusName="events", EventPattern='{"source": [{"prefix": ""}]}')
    events.put_targets(
        Rule="everything",
        EventBusName="events",
        Targets=[{"Id": "published", "Arn": "arn:aws:sqs:eu-central-1:123456789012:published"}],
    )
    return Resources(client)


def _create_transactions(client: Callable[[str], Any]) -> None:
    """Transactions by id, with an index by customer and one of the flagged by terminal, both in order of time."""
    names = (("transactionId", "S"), ("customerId", "S"), ("flaggedTerminalId", "S"), ("occurredAt", "N"))
    flagged = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["cardId", "label"]}
    client("dynamodb").create_table(
        TableName="transactions",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in names],
        KeySchema=[{"AttributeName": "transactionId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": "occurredAt", "KeyType": "RANGE"},
                ],
                "Projection": projection,
            }
            for index, key, projection in (
                ("CustomerTransactions", "customerId", {"ProjectionType": "ALL"}),
                ("FlaggedAtTerminal", "flaggedTerminalId", flagged),
            )
        ],
    )


def _create_cards(client: Callable[[str], Any]) -> None:
    """Cards by id, with an index by customer."""
    client("dynamodb").create_table(
        TableName="cards",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("cardId", "customerId")],
        KeySchema=[{"AttributeName": "cardId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "CustomerCards",
                "KeySchema": [{"AttributeName": "customerId", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def _create_cases(client: Callable[[str], Any]) -> None:
    """Cases by id, with an index by status and one by customer, both in order of opening."""
    client("dynamodb").create_table(
        TableName="cases",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("caseId", "status", "customerId", "openedAt")
        ],
        KeySchema=[{"AttributeName": "caseId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": "openedAt", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, key in (("byStatus", "status"), ("CustomerCases", "customerId"))
        ],
    )


def _create_actions(client: Callable[[str], Any]) -> None:
    """Actions by id, with an index by status and expiry and one by card and status."""
    attributes = [("actionId", "S"), ("status", "S"), ("expiresAt", "N"), ("cardId", "S")]
    indexes = (("byStatus", "status", "expiresAt", "ALL"), ("byCard", "cardId", "status", "KEYS_ONLY"))
    client("dynamodb").create_table(
        TableName="actions",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in attributes],
        KeySchema=[{"AttributeName": "actionId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": key, "KeyType": "HASH"},
                    {"AttributeName": order, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": projection},
            }
            for index, key, order, projection in indexes
        ],
    )


def _create_steps(client: Callable[[str], Any]) -> None:
    """Investigations' steps by case, in order."""
    client("dynamodb").create_table(
        TableName="investigation-steps",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "caseId", "AttributeType": "S"},
            {"AttributeName": "step", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "caseId", "KeyType": "HASH"}, {"AttributeName": "step", "KeyType": "RANGE"}],
    )


def _create_documents(client: Callable[[str], Any]) -> None:
    place = {"LocationConstraint": "eu-central-1"}
    client("s3").create_bucket(Bucket=ENVIRONMENT["DOCUMENTS_BUCKET_NAME"], CreateBucketConfiguration=place)
    by_customer = {
        "IndexName": ENVIRONMENT["DOCUMENTS_INDEX_NAME"],
        "KeySchema": [
            {"AttributeName": "customerId", "KeyType": "HASH"},
            {"AttributeName": "createdAt", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    client("dynamodb").create_table(
        TableName=ENVIRONMENT["DOCUMENTS_TABLE_NAME"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("documentId", "customerId", "createdAt")
        ],
        KeySchema=[{"AttributeName": "documentId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[by_customer],
    )
