"""The question that a person is asked before something is changed: ours, from tool and arguments, never a model's.

So a person says yes to exactly what will be done, whatever a model made of their words.
"""

from collections.abc import Mapping
from typing import Any

_HOW_TO_ANSWER = "Answer yes to do it, no to leave it as it is."


def question_for(tool: str, arguments: Mapping[str, Any]) -> str:
    """E.g. "Shall I block card CARD-000123 (reason: stolen)? Answer yes to do it, no to leave it as it is."."""
    return f"Shall I {_deed(tool, arguments)}? {_HOW_TO_ANSWER}"


def _deed(tool: str, arguments: Mapping[str, Any]) -> str:
    match tool:
        case "block_card":
            return f"block card {_said(arguments['cardId'])} (reason: {_said(arguments['reason'])})"
        case "open_case":
            about = f" about transaction {_said(arguments['transactionId'])}" if arguments.get("transactionId") else ""
            return f'open a case{about} for an analyst, with the subject "{_said(arguments["subject"])}"'
    named = ", ".join(f"{name}: {_said(value)}" for name, value in sorted(arguments.items()))
    return f"{tool.replace('_', ' ')} ({named})" if named else tool.replace("_", " ")


def _said(value: object) -> str:
    """On one line: what a model wrote must not look like a line of ours."""
    return " ".join(str(value).split())
