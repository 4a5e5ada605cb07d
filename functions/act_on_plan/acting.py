"""Acting: what was planned is looked up, once. What changes something is request_action's.

Knows no AWS: where steps are kept and the tools are arguments.
"""

from collections.abc import Mapping
from typing import Protocol

from backbone.errors import Rejected
from backbone.investigations import Investigation, Step, session_attributes
from backbone.tool_calls import ToolReply


class Steps(Protocol):
    """Keeps steps. Each raises Retryable where it cannot now."""

    def get(self, case_id: str, number: int) -> Step | None: ...
    def acted(self, case_id: str, number: int, reply: str) -> Step: ...


class Tools(Protocol):
    """Runs a tool. Raises Retryable where it cannot now."""

    def run(self, tool: str, arguments: Mapping[str, str], attributes: Mapping[str, str]) -> ToolReply: ...


def act(investigation: Investigation, number: int, *, steps: Steps, tools: Tools) -> str:
    """Runs the look-up of step ``number`` and keeps its answer; answers the tool's name.

    Again it changes nothing, and a tool whose answer is there is not run again. Raises Retryable; Rejected where the
    step is none that looks something up.
    """
    step = steps.get(investigation.case_id, number)
    if step is None or step.kind != "look_up" or step.tool is None:
        raise Rejected(f"INTERNAL: step {number} of {investigation.case_id} looks nothing up")
    if step.reply is None:
        reply = tools.run(step.tool, step.arguments, session_attributes(investigation, number))
        steps.acted(investigation.case_id, number, reply.text)
    return step.tool
