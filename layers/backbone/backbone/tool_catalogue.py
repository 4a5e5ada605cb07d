"""The tools that an agent may use at the bank: the one definition of their names, arguments and words.

``agent_tools`` runs them; what a model is told of them is made from here, for each engine in its own form: Converse's
toolConfig, the function schema of a Bedrock agent's action group (template.yaml; a test compares) and the inline
functions of an AgentCore harness. No tool takes a customer's id: whose affairs are spoken of stands in the session.

A tool with ``changes`` is never run on the model's word alone: the person is asked first. The tools of an investigation
(``INVESTIGATION_TOOLS``) are no chat's: no engine is told of them, and ``agent_tools`` refuses them to people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

# The action group of the Bedrock agent that holds these tools, and what agent_tools calls its caller's group.
ACTION_GROUP = "BankOperations"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of a tool; ``enum`` are the only values that a string may have, the bounds are an integer's."""

    name: str
    type: Literal["string", "integer"]
    description: str
    required: bool = False
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; ``changes`` is true where running it changes the customer's affairs."""

    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    changes: bool = False


TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "list_cards",
        "Lists the customer's cards and says of each whether it is active or blocked, and if blocked since when and "
        "why. Use it for every question about the state of a card.",
    ),
    ToolSpec(
        "list_transactions",
        "Lists the customer's newest card transactions (at most 20): amount, place, time, and whether each was flagged "
        "as suspicious.",
        (
            # No example of an id in any description: a small model takes it for the customer's.
            Parameter("cardId", "string", "Only transactions of this card, by its id."),
            Parameter("days", "integer", "How many days back to look, 1 to 90; 7 if not given.", minimum=1, maximum=90),
            Parameter(
                "onlyFlagged",
                "string",
                "true for flagged (suspicious) transactions only, else false.",
                enum=("true", "false"),
            ),
        ),
    ),
    ToolSpec(
        "explain_flag",
        "Explains why a transaction was flagged, stopped or looked at as suspicious: its score, severity, reasons and "
        "what drove them.",
        (
            Parameter(
                "transactionId", "string", "The transaction to explain; if not given, the newest one that was flagged."
            ),
        ),
    ),
    ToolSpec(
        "search_documents",
        "Searches the documents that the customer uploaded (contracts, policies, letters) and answers up to 3 passages "
        "with their source. Use it for questions about what a document says.",
        (Parameter("question", "string", "What to look for, as a question or in keywords.", required=True),),
    ),
    ToolSpec(
        "open_case",
        "Opens a case, so that a person at the bank looks into the matter. Only when the customer asks for a person, "
        "disputes a transaction or wants something investigated.",
        (
            Parameter("subject", "string", "In one sentence, what the case is about.", required=True),
            Parameter("transactionId", "string", "The transaction that it is about, if there is one."),
        ),
        changes=True,
    ),
    ToolSpec(
        "block_card",
        "Blocks a card, so that no payment with it goes through any more. Only when the customer asks to block, stop "
        "or freeze it; never to find out whether it is blocked.",
        (
            Parameter("cardId", "string", "The id of the card to block.", required=True),
            Parameter(
                "reason",
                "string",
                "Why: lost, stolen, fraud (somebody else used it) or other.",
                required=True,
                enum=("lost", "stolen", "fraud", "other"),
            ),
        ),
        changes=True,
    ),
)
# What an investigation may use besides: no chat's model is told of it, and agent_tools refuses it to all but agents.
INVESTIGATION_TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "review_card",
        "Compares a transaction with what its card paid before: how many payments in 30 days and of how much, what was "
        "paid around it, and what earlier flags of the card turned out to be.",
        (Parameter("transactionId", "string", "The transaction to compare.", required=True),),
    ),
    ToolSpec(
        "review_terminal",
        "Looks at the terminal of a transaction: payments and known frauds there in 28 days, how many other "
        "transactions were flagged there with how many cards, and what those turned out to be.",
        (Parameter("transactionId", "string", "The transaction whose terminal to look at.", required=True),),
    ),
    ToolSpec(
        "review_past_cases",
        "Counts the customer's cases of the last 180 days by how they ended, and those that are still open.",
    ),
    ToolSpec(
        "release_transaction",
        "Lets a flagged transaction go, because it is genuine. A large one needs an analyst's approval.",
        (Parameter("transactionId", "string", "The flagged transaction to release.", required=True),),
        changes=True,
    ),
    ToolSpec(
        "refund",
        "Asks an analyst to pay a transaction back to the customer, because somebody else made it.",
        (Parameter("transactionId", "string", "The transaction to pay back.", required=True),),
        changes=True,
    ),
)


def find_tool(name: str, tools: Sequence[ToolSpec] = (*TOOLS, *INVESTIGATION_TOOLS)) -> ToolSpec | None:
    """The tool of that name among ``tools``, or None."""
    return next((tool for tool in tools if tool.name == name), None)


def input_schema(tool: ToolSpec) -> dict[str, Any]:
    """The JSON Schema (an object) of a tool's arguments, as Converse and AgentCore take it.

    Nova takes nothing at the top but these three; that there is no other argument, whoever runs the tool checks.
    """
    return {
        "type": "object",
        "properties": {parameter.name: _property(parameter) for parameter in tool.parameters},
        "required": [parameter.name for parameter in tool.parameters if parameter.required],
    }


def tool_config(tools: Sequence[ToolSpec] = TOOLS) -> dict[str, Any]:
    """Converse's ``toolConfig``; the model chooses.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
    """
    return {
        "tools": [
            {
                "toolSpec": {
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": {"json": input_schema(tool)},
                }
            }
            for tool in tools
        ],
        "toolChoice": {"auto": {}},
    }


def _property(parameter: Parameter) -> dict[str, Any]:
    said: dict[str, Any] = {"type": parameter.type, "description": parameter.description}
    if parameter.enum:
        said["enum"] = list(parameter.enum)
    if parameter.minimum is not None:
        said["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        said["maximum"] = parameter.maximum
    return said
