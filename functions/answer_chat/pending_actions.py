"""The change that waits for a person's yes, as it stands in the conversation's row (attribute pendingAction, JSON)."""

import json
from dataclasses import dataclass

from agent_port import PendingAction


@dataclass(frozen=True, slots=True)
class AskedAction:
    """``asked_at``: when the question was asked (RFC 3339, UTC); what was written before it is no answer to it."""

    action: PendingAction
    asked_at: str


def encode_pending(asked: AskedAction) -> str:
    action = asked.action
    said = {
        "tool": action.tool,
        "arguments": dict(action.arguments),
        "question": action.question,
        "askedInTurn": action.asked_in_turn,
        "engineState": dict(action.engine_state),
        "askedAt": asked.asked_at,
    }
    return json.dumps(said, ensure_ascii=False, allow_nan=False)


def decode_pending(text: str) -> AskedAction:
    said = json.loads(text)
    action = PendingAction(said["tool"], said["arguments"], said["question"], said["askedInTurn"], said["engineState"])
    return AskedAction(action, said["askedAt"])
