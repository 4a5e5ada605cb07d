"""agent_tools of the deployed stack, invoked as answer_chat invokes it for the person in a session."""

import json
from typing import Any
from uuid import uuid4

from agent_port import Session
from agent_tools_client import action_group_event
from tests.stack.deployed import Stack


def tool_said(
    stack: Stack,
    tool: str,
    arguments: dict[str, Any],
    *,
    customer_id: str,
    about: str,
    person_id: str = "customer-1",
    role: str = "customer",
    case_id: str | None = None,
) -> dict[str, Any]:
    """The body of the tool's answer in a conversation of its own; the correlation id is made from ``about``.

    ``case_id`` is the case that an agent works on.
    """
    session = Session(person_id, "customer", customer_id, str(uuid4()), 1, f"chat-{about}")
    event = action_group_event(tool, arguments, session)
    event["sessionAttributes"]["role"] = role  # "agent" too, which nobody in a chat is
    if case_id is not None:
        event["sessionAttributes"]["caseId"] = case_id
    name = stack.outputs["AgentToolsFunctionName"]
    answer = json.load(stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"])
    body: dict[str, Any] = json.loads(answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"])
    return body
