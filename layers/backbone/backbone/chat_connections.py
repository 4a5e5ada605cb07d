"""Open WebSocket connections: who is at the other end of each."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.chat_people import ChatPerson, as_texts, from_texts
from backbone.contracts import timestamp
from backbone.errors import Retryable

# API Gateway ends a connection after two hours at the latest, and tells of its end as best it can ($disconnect may not
# come). https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
LIFETIME_SECONDS = 2 * 3600 + 600


@dataclass(frozen=True, slots=True)
class ChatConnections:
    """Connections in the table ``table`` (id), as ``connection#<connectionId>``, behind ``client`` (boto3 "dynamodb").

    Every method raises Retryable where the table cannot now.
    """

    client: Any
    table: str

    def add(self, connection_id: str, person: ChatPerson, now: float) -> None:
        """Remembers who opened the connection ``now`` (epoch seconds)."""
        row = {name: {"S": text} for name, text in as_texts(person).items()}
        times = {"connectedAt": {"S": timestamp(now)}, "expiresAt": {"N": str(int(now) + LIFETIME_SECONDS)}}
        self._call("put_item", Item={**_key(connection_id), **row, **times})

    def get(self, connection_id: str, now: float) -> ChatPerson | None:
        """Who opened the connection; None for one that nobody opened, that is gone or is older than one can be."""
        item = self._call("get_item", Key=_key(connection_id), ConsistentRead=True).get("Item")
        if item is None or float(item["expiresAt"]["N"]) <= now:
            return None
        return from_texts({name: value.get("S") for name, value in item.items()})

    def remove(self, connection_id: str) -> None:
        """Forgets the connection; no matter whether it is known."""
        self._call("delete_item", Key=_key(connection_id))

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(TableName=self.table, **arguments)
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{operation} {self.table}: {failed}") from failed
        return answer


def _key(connection_id: str) -> dict[str, Any]:
    return {"id": {"S": f"connection#{connection_id}"}}
