"""The way to WebSocket connections in memory, and WebSocket events as API Gateway sends them."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.unit.lambda_events import sample


@dataclass
class FakeConnections:
    """Stands in for boto3's "apigatewaymanagementapi" client; keeps what each connection got, in order.

    ``gone`` connections answer 410; ``failures`` are error codes for the next calls, one each.
    """

    gone: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    posted: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's spelling
        if self.failures:
            raise _error(self.failures.pop(0))
        if ConnectionId in self.gone:
            raise _error("GoneException")
        self.posted[ConnectionId].append(json.loads(Data))
        return {}


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "injected"}}, "PostToConnection")


def a_frame_event(frame: object, connection_id: str) -> dict[str, Any]:
    """What receive_chat_message is called with; a frame that is no text is sent as JSON."""
    event = sample("receive_chat_message", "good")
    event["requestContext"]["connectionId"] = connection_id
    return event | {"body": frame if isinstance(frame, str) else json.dumps(frame)}
