"""Tickets: who holds one may open one WebSocket connection, once, within a minute.

A browser cannot send a header when it opens a WebSocket, so what proves the person stands in the address, and addresses
end up in logs. A ticket is worth nothing after its first use; an id token would be worth an hour. The table keeps only
a ticket's SHA-256: who reads the table cannot connect.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.chat_people import ChatPerson, as_texts, from_texts
from backbone.errors import Retryable

EXPIRES_IN_SECONDS = 60
_TICKET = re.compile(r"[A-Za-z0-9_-]{43}")


def new_ticket() -> str:
    """32 random bytes, base64url without padding."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class ChatTickets:
    """Tickets in the table ``table`` (id), as ``ticket#<sha256>``, behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def add(self, ticket: str, person: ChatPerson, now: float) -> None:
        """Makes ``ticket`` good for ``person`` from ``now`` (epoch seconds). Raises Retryable as ``consume`` does."""
        row = {name: {"S": text} for name, text in as_texts(person).items()}
        expires = {"N": str(int(now) + EXPIRES_IN_SECONDS)}
        try:
            self.client.put_item(TableName=self.table, Item={**_key(ticket), **row, "expiresAt": expires})
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"put_item {self.table}: {failed}") from failed

    def consume(self, ticket: object, now: float) -> ChatPerson | None:
        """Whose ``ticket`` it is, which is no good from now on; None where it was not, or not any more.

        Its time is looked at here: DynamoDB removes what has expired within days. Raises Retryable where the table
        cannot now; the ticket may then be used up, and the person asks for another.
        """
        if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket):
            return None
        try:
            answer = self.client.delete_item(
                TableName=self.table,
                Key=_key(ticket),
                ConditionExpression="expiresAt > :now",
                ExpressionAttributeValues={":now": {"N": f"{now:.3f}"}},
                ReturnValues="ALL_OLD",
            )
        except ClientError as failed:
            if failed.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return None
            raise Retryable(f"delete_item {self.table}: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"delete_item {self.table}: {failed}") from failed
        return from_texts({name: value.get("S") for name, value in answer["Attributes"].items()})


def _key(ticket: str) -> dict[str, Any]:
    return {"id": {"S": f"ticket#{hashlib.sha256(ticket.encode()).hexdigest()}"}}
