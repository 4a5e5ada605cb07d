"""The engine ``agentcore``: the managed harness of Amazon Bedrock AgentCore, with our tools as inline functions.

https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/harness-tools.html

The harness asks the model and keeps the session; a tool's use comes back to us, is run for the session's person and is
answered with the next call. That is the conversation that ConverseStream has too, so the same loop leads it
(converse_agent), with the same bounds and the same question before a change; ``harness_turn`` translates.

Each message is a session of its own in the harness, begun with what our table keeps of the conversation. So there is
one memory of it, with one expiry; a message that is tried again meets nothing of the attempt before; and a change that
waits for its yes needs no session to survive. The price is a new session's start for each message.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from agent_port import History, Meter, PendingAction, Reply, Session, Sink, Tools
from converse_agent import ConverseAgent
from harness_turn import HarnessTurn


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class AgentCoreAgent:
    """The harness ``harness_arn`` behind ``client`` (boto3 "bedrock-agentcore"), with ``tools``.

    ``model_id`` is the model that the harness was deployed with: its answers do not name it.
    """

    client: Any
    harness_arn: str
    model_id: str
    tools: Tools
    meter: Meter
    today: Callable[[], date] = _today
    clock: Callable[[], float] = time.monotonic

    def reply(self, session: Session, history: History, text: str, sink: Sink) -> Reply:
        return self._loop(session).reply(session, history, text, sink)

    def confirm(self, session: Session, history: History, pending: PendingAction, sink: Sink) -> Reply:
        return self._loop(session).confirm(session, history, pending, sink)

    def _loop(self, session: Session) -> ConverseAgent:
        turn = HarnessTurn(self.client, self.harness_arn, f"{session.conversation_id}-{uuid.uuid4()}")
        return ConverseAgent(turn, self.model_id, self.tools, self.meter, self.today, self.clock)
