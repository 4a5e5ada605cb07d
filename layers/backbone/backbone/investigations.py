"""An investigation: what it is about, its working memory step by step, and who it is to the tools.

A flagged transaction wakes it. Its steps are rows of their own, so that everything that the agent knew, thought and did
can be read afterwards; the state machine carries ids and small verdicts only. One step is one turn of the loop:

    step 1      what was perceived: the case is opened, the flag explained
    step 2 ...  planned (``plan_next_action``), acted on, observed

What was observed are facts, in the tools' own sentences. Facts have ids (``F<step>.<number>``); a plan names those that
it rests on. Knows no AWS: ``investigation_rows`` keeps the steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backbone import contracts

AGENT = "agent"
FIRST_STEP = 1
# What a step may tell: a list of 20 payments and its headline fit.
MOST_FACTS = 24
LONGEST_FACT = 600

# What a step is. perceive: the first one. look_up: a tool that changes nothing. act: a tool that changes something, or
# proposes to. conclude: a verdict. ask_person: no verdict, a person must look.
type Kind = Literal["perceive", "look_up", "act", "conclude", "ask_person"]
# How a step's tool ended: the tools' own words, and for what was proposed the analysts'.
type Outcome = Literal["done", "refused", "approved", "rejected", "expired", "nothing_to_do"]
type Verdict = Literal["confirmed_fraud", "genuine"]


@dataclass(frozen=True, slots=True)
class Investigation:
    """What an execution of InvestigateTransaction is about: its input, and part of what each step is handed.

    ``causation_id`` is the TransactionFlagged; ``causation_depth`` that of the events that come of the investigation.
    """

    case_id: str
    transaction_id: str
    customer_id: str
    card_id: str
    terminal_id: str
    correlation_id: str
    causation_id: str
    causation_depth: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """A step as its row has it; times are RFC 3339 in UTC, money is micro-dollars.

    ``move`` is what was chosen, as the model was offered it; ``tool`` and ``arguments`` what that means here.
    ``evidence`` are the ids of the facts that ``reasoning`` rests on. ``reply`` is the tool's whole answer (JSON) and
    ``action_id`` the action that it proposed: what came of acting. ``outcome`` and ``facts`` are what was observed.
    """

    case_id: str
    number: int
    kind: Kind
    move: str
    reasoning: str
    planned_at: str
    tool: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    verdict: Verdict | None = None
    reply: str | None = None
    action_id: str | None = None
    outcome: Outcome | None = None
    facts: tuple[str, ...] = ()
    observed_at: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_dollars: int = 0
    model_id: str | None = None
    model_profile: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What an investigation took so far."""

    steps: int
    input_tokens: int
    output_tokens: int
    cost_micro_dollars: int


def case_id_of(flag_event_id: str) -> str:
    """The id (a UUID) of the one case that a TransactionFlagged opens."""
    return contracts.event_id("Investigation", flag_event_id)


def fact_id(step: int, number: int) -> str:
    """The id of a step's ``number``-th fact, both counted from 1."""
    return f"F{step}.{number}"


def known_facts(steps: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """All that was observed so far, in order: (id, sentence). A sentence that came before is not told again."""
    told: set[str] = set()
    for step in steps:
        for number, sentence in enumerate(step.facts, 1):
            if sentence not in told:
                told.add(sentence)
                yield fact_id(step.number, number), sentence


def observed(state: str, facts: Sequence[str]) -> tuple[Outcome, tuple[str, ...]]:
    """What a step keeps of a tool's answer: how it ended, and as many facts, as long, as a prompt can take."""
    outcome: Outcome = "done" if state == "done" else "refused"
    return outcome, tuple(fact[:LONGEST_FACT] for fact in facts[:MOST_FACTS])


def totals(steps: Sequence[Step]) -> Totals:
    """What ``steps`` took together."""
    return Totals(
        steps=len(steps),
        input_tokens=sum(step.input_tokens for step in steps),
        output_tokens=sum(step.output_tokens for step in steps),
        cost_micro_dollars=sum(step.cost_micro_dollars for step in steps),
    )


def session_attributes(investigation: Investigation, step: int) -> dict[str, str]:
    """Who the agent is to ``agent_tools`` in this step: ``sessionAttributes`` of the action-group event.

    Made from the execution's input alone: no model and no fact can widen it.
    """
    return {
        "personId": AGENT,
        "role": AGENT,
        "customerId": investigation.customer_id,
        "conversationId": investigation.case_id,
        "turn": str(step),
        "correlationId": investigation.correlation_id,
        "caseId": investigation.case_id,
        "causationDepth": str(investigation.causation_depth),
    }
