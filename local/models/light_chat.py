"""The light profile's side of a chat: tool calls or a text, decided from what the person said.

1. The person's words, and nothing else, decide which tools are asked for (``intents``): a tool's results and the
   summary lend ids, never orders.
2. What a tool needs is found in the words and the results (``slot_filling``); a card that is not known is looked up by
   list_cards; what is still missing is asked for.
3. When everything was looked up, the answer is composed of the results' own sentences (``composed_answers``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from local.models.asked_questions import (
    ONE_MORE_THING,
    WHAT_QUESTION,
    WHAT_SUBJECT,
    WHICH_CARD,
    WHICH_OF_THESE,
    WHICH_TRANSACTION,
)
from local.models.bans import forbids_a_change
from local.models.composed_answers import compose
from local.models.conversation import Conversation, Exchange, Outcome
from local.models.declined_requests import why_declined
from local.models.embeddings import normalised
from local.models.intents import Intent, intents_of, is_torn, possible_tools
from local.models.light_desk import Desk
from local.models.slot_filling import Words, cards_known, fill
from local.models.speech_acts import clauses_of, plainly_requested
from local.models.spelling import spelled
from local.models.tool_router import UNSUPPORTED

_MOST_CALLS = 3
_ALL_CARDS = re.compile(
    r"\b(?:all|both|every|each)\b(?:\s+\w+){0,2}\s+(?:cards?|one)\b|\bthem\s+(?:all|both)\b|\b(?:all|both)\s+of\s+(?:them|these|those)\b",
    re.IGNORECASE,
)

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to be called with these arguments."""

    tool: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next: tools to call, or, without any, a text to say, which is of the ``kind`` that it says.

    ``possible``: of what is unclear, the tools that may be meant; a better reader than a router may choose among them.
    """

    kind: Literal["calls", "declined", "told", "asked", "talk", "unclear"]
    calls: tuple[Call, ...] = ()
    text: str = ""
    possible: tuple[str, ...] = ()


def next_move(conversation: Conversation, desk: Desk, *, must_call: bool = False) -> Move:
    """What to do next in ``conversation``. ``must_call``: a tool is chosen where the words leave any choice."""
    conversation = _spelled(conversation, desk)
    refusal = why_declined(conversation.now.said, conversation.background)
    if refusal:
        return Move("declined", text=f"{refusal} I can {desk.abilities()}.")
    intents = intents_of(conversation, desk, must_call=must_call)
    wanted = [intent for intent in intents if intent.kind in desk.tools]
    if not wanted:
        if conversation.now.outcomes:
            return Move("told", text=_composed(conversation, desk))
        text = _talk(conversation, intents, desk)
        if intents or any(map(forbids_a_change, clauses_of(conversation.now.said))):
            return Move("talk", text=text)
        return Move("unclear", text=text, possible=possible_tools(conversation.now.said, desk))
    if len(wanted) > 1 and is_torn(wanted, desk) and not conversation.now.outcomes:
        return Move("unclear", text=_which_of(wanted, desk), possible=tuple(one.kind for one in wanted))
    return _move_for(conversation, wanted[:_MOST_CALLS], desk)


def _spelled(conversation: Conversation, desk: Desk) -> Conversation:
    """``conversation`` with the slips in the person's words put right, and requests that look like questions."""
    model = desk.model.get()

    def put_right(exchange: Exchange) -> Exchange:
        said = spelled(exchange.said, lambda word: model.count_tokens(word) == 1)
        return replace(exchange, said=plainly_requested(said))

    earlier = tuple(map(put_right, conversation.earlier))
    return replace(conversation, earlier=earlier, now=put_right(conversation.now))


# --- What is done about it


def _move_for(conversation: Conversation, wanted: Sequence[Intent], desk: Desk) -> Move:
    done = {outcome.tool for outcome in conversation.now.outcomes}
    calls, missing = [], []
    for intent in wanted:
        if intent.kind in done:
            continue
        arguments = fill(
            desk.schemas[intent.kind], Words(intent.clause, conversation, desk.today, intent.part, intent.before)
        )
        every = _every_card(intent, conversation, desk)
        if every:
            calls += [Call(intent.kind, arguments | {"cardId": card}) for card in every]
            continue
        lacking = [name for name in desk.schemas[intent.kind].get("required") or () if name not in arguments]
        if lacking:
            missing.append((intent, lacking[0]))
        else:
            calls.append(Call(intent.kind, arguments))
    list_cards = desk.named("list_cards")
    for _, name in missing:
        if name == "cardId" and list_cards and list_cards not in done | {call.tool for call in calls}:
            calls.append(Call(list_cards, {}))
    if calls:
        return Move("calls", tuple(calls))
    told = _composed(conversation, desk, wanted) if conversation.now.outcomes else ""
    asked = _asked_for(*missing[0], conversation, desk) if missing else ""
    return Move("asked" if asked else "told", text=f"{told} {asked}".strip())


def _every_card(intent: Intent, conversation: Conversation, desk: Desk) -> list[str]:
    """The active cards, where all of them are meant: "block both cards"."""
    if "cardId" not in (desk.schemas[intent.kind].get("required") or ()) or not _ALL_CARDS.search(intent.clause):
        return []
    return [str(card["cardId"]) for card in cards_known(conversation) if card.get("status") != "blocked"][:_MOST_CALLS]


def _asked_for(intent: Intent, name: str, conversation: Conversation, desk: Desk) -> str:
    """A question for the required argument ``name``; nothing where the results say why there is none."""
    if name == "cardId":
        return _which_card(conversation.now.outcomes)
    questions = {
        "subject": WHAT_SUBJECT,
        "question": WHAT_QUESTION,
        "transactionId": WHICH_TRANSACTION,
    }
    described = (desk.schemas[intent.kind].get("properties") or {}).get(name, {}).get("description") or name
    return questions.get(name, f"To {desk.tools[intent.kind].can} {ONE_MORE_THING} ({described}). What is it?")


def _which_card(outcomes: Sequence[Outcome]) -> str:
    """The question for a card; nothing where all are blocked, there are none, or nobody knows: the facts say that."""
    if not outcomes:
        return WHICH_CARD
    active = [card for outcome in outcomes for card in outcome.records("cardId") if card.get("status") != "blocked"]
    return WHICH_OF_THESE if active else ""


def _which_of(wanted: Sequence[Intent], desk: Desk) -> str:
    return f"I am not sure what you want me to do: {' or '.join(desk.tools[one.kind].can for one in wanted[:3])}?"


def _composed(conversation: Conversation, desk: Desk, wanted: Sequence[Intent] = ()) -> str:
    """The answer from what was looked up: of what was asked for, or, before that is done, of what was needed first."""
    outcomes = conversation.now.outcomes
    asked_for = [outcome for outcome in outcomes if outcome.tool in {intent.kind for intent in wanted}]
    return compose(
        conversation.now.said, asked_for or outcomes, lambda texts: normalised(desk.model.get().embed(texts))
    )


# --- Talk without tools


def _talk(conversation: Conversation, intents: Sequence[Intent], desk: Desk) -> str:
    said = conversation.now.said
    if any(map(forbids_a_change, clauses_of(said))):
        return "All right, I change nothing."
    kind = intents[0].kind if intents else ""
    able = f"I can {desk.abilities()}."
    by_an_analyst = (
        " If you like, I open a case, so that an analyst takes care of it." if desk.named("open_case") else ""
    )
    texts = {
        "greeting": f"Hello. {able}",
        "thanks": "You are welcome.",
        "farewell": "Goodbye.",
        "acknowledgement": "All right. Tell me if there is anything else.",
        "abilities": f"I am the bank's assistant, a program. {able}",
        "vague": f"What exactly is it about? {able}",
        UNSUPPORTED: f"That I cannot do. {able}{by_an_analyst}",
        "out_of_scope": f"That is outside of what I can help with. {able}",
        "hostile": f"I cannot do that: I speak only about the affairs of this conversation's customer. {able}",
    }
    return texts.get(kind, f"I did not understand what you would like. {able} What shall it be?")
