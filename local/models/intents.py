"""What a person's message asks for: tools, or a kind of talk that needs none.

The person's words alone decide, clause by clause: their meaning by the router, what they want by their grammar
(``speech_acts``, ``bans``). A message that leans on the one before ("and last month?"), or answers a question that was
asked (``asked_questions``), is read with it. What is declined (``declined_requests``) is not read at all.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from local.models.asked_questions import may_answer
from local.models.bans import forbids_a_change
from local.models.conditions import waits_for_something
from local.models.conversation import Conversation, Exchange
from local.models.conversation_ids import ids_in_text
from local.models.declined_requests import why_declined
from local.models.deeds import is_told
from local.models.light_desk import Desk
from local.models.others_affairs import without_others_not_meant
from local.models.pointing import only_points, plainly_pointed
from local.models.speech_acts import (
    clauses_of,
    demands,
    may_ask_for_a_change,
    seeks_information,
    undoes,
)
from local.models.tool_router import UNSUPPORTED, without_ids

_CERTAIN, _LIKELY = 0.45, 0.28  # scores from which a clause, and a whole message, ask for a tool
_POSSIBLE = 0.2  # ... from which a tool may be meant, for all that the router knows
_LIKELY_TALK = 0.35  # ... and from which it is a kind of talk that needs none
# Without a word of these a message must be certain to reach a tool: "Who won in 2014?" is a little like all questions.
_IS_ABOUT_A_BANK = re.compile(
    r"\b(?:card|pay|paid|transaction|purchase|charge|spen|booking|bought|debit|credit|money|euro|refund|fee|contract"
    r"|agreement|document|notes?\b|terms|polic|clause|lease|loan|insur|case|complain|disput|escalat|block|freez|lock"
    r"|flag|alert|suspicious|fraud|stol|steal|lost|risk|score|karte|zahlung|tarjeta|pago|it|that|those|them|[a-z]+-\w*\d)",
    re.IGNORECASE,
)
_COORDINATION = re.compile(
    r"\s*,?\s+(?:and|plus|as well as|along with|together with)\s+|,\s+(?=(?:my|the|all)\b)", re.IGNORECASE
)
# "And what did I pay in that time?", of which the message before tells.
_SAME_SPAN = re.compile(
    r"\b(?:that|the\s+same|same)\s+(?:time|period|span|days|dates|range|timeframe)\b", re.IGNORECASE
)
_BARE_QUESTION = re.compile(
    r"\W*(?:and|but|so)?\W*(?:why|how come|how so|since when|when|what for|warum|por qué"
    r"|(?:for )?what(?:(?: is| was)? the)? reason|by whom|who(?: has| had)?(?: did| done)?)"
    r"(?:\s+(?:is\s+|was\s+)?(?:it|that|this|so|the)(?:\s+(?:one|so))?)?\W*",
    re.IGNORECASE,
)
_BARE_ID = re.compile(r"\W*this (?:card|transaction|one)\W*")
_WHY = re.compile(r"\b(?:why|how|what for|warum|por qué)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:cards|payments|transactions|purchases|charges|documents)\b", re.IGNORECASE)
_SHOW_THEM = re.compile(r"\b((?:show|list|tell|give)(?:\s+me)?)\s+them\b", re.IGNORECASE)
_FAVOUR = 0.1
_TOO_CLOSE = 0.04  # between two tools: the person is asked
_REMEMBERED = 8  # exchanges
_SHORT = 8  # words of a message that may lean on the one before
_POINTS_BACK = re.compile(r"\b(?:it|that|this|those|these|them|they|ones?)\b", re.IGNORECASE)
# "I meant card 8320": the same for something else.
_CORRECTS = re.compile(
    r"^\W*(?:(?:no|sorry|wait|oh|oops|actually|rather|ah)\W+)*(?:i\s+(?:actually\s+)?mean(?:t)?|make\s+(?:it|that)|rather)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\W*(?:and|but|or|also)\b", re.IGNORECASE)  # however long, if it is about the same
_LEANS = re.compile(
    r"^\W*(?:and|what about|how about|only|just|now|then|or|also|why|more|tell me more|details?|(?:the\s+)?same"
    r"|since|on|in|for|no,?|the other|und)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Intent:
    """A tool that a clause asks for, or a kind of talk."""

    kind: str
    clause: str
    score: float
    part: str = ""  # of a clause that asks for several tools, what asks for this one
    before: tuple[str, ...] = ()  # the clauses of a look-up that this one goes on with


def intents_of(conversation: Conversation, desk: Desk, *, must_call: bool = False) -> list[Intent]:
    """What the person's last message asks for, in its order; one that leans on the message before is read with it.

    ``must_call``: where it asks for no tool, the nearest one.
    """
    exchanges = (*conversation.earlier[-_REMEMBERED:], conversation.now)
    intents: list[Intent] = []
    for last, exchange in zip((None, *exchanges), exchanges, strict=False):
        declined = why_declined(exchange.said, conversation.background) is not None
        read = [] if declined else _read(_of_oneself(exchange.said, conversation), last, intents, desk)
        intents = _of_the_same_span(read, intents)
    if must_call and not any(intent.kind in desk.tools for intent in intents):
        said = conversation.now.said
        return [_best(said, desk, clauses_of(said), among=tuple(desk.tools))]
    return intents


def _of_the_same_span(intents: Sequence[Intent], before: Sequence[Intent]) -> list[Intent]:
    """``intents``, those of "that time" with the clauses ``before``, where it is told."""
    told = tuple(one.clause for one in before)
    return [replace(one, before=one.before or told) if _SAME_SPAN.search(one.clause) else one for one in intents]


def _of_oneself(said: str, conversation: Conversation) -> str:
    """``said`` with an id of this conversation's customer as "me", and without others that it says are not meant."""
    for one in ids_in_text(said):
        if one.kind == "customer" and one.text in conversation.background:
            said = re.sub(rf"(?:\bcustomer\s+)?{re.escape(one.text)}", "me", said, flags=re.IGNORECASE)
    return without_others_not_meant(said)


def _read(said: str, last: Exchange | None, before: Sequence[Intent], desk: Desk) -> list[Intent]:
    """What ``said`` asks for after the exchange ``last``, which asked for ``before``."""
    clauses = _with_nouns(_with_what_follows(clauses_of(said)))
    certain = [intent for clause in clauses for intent in _coordinated(clause, desk) if intent.score >= _CERTAIN]
    hostile = [intent for intent in certain if intent.kind == "hostile"]
    if hostile:
        return hostile
    tools = [intent for intent in certain if intent.kind in desk.tools and not _is_banned(intent, clauses, desk)]
    tools = [intent for intent in tools if not _only_forbids(intent.clause)] or tools
    if (len(clauses) > 1 and tools) or len(tools) > 1:
        return _merged(_without_asides(tools, desk), said)
    points_back = [intent.kind for intent in before] if _POINTS_BACK.search(said) else []
    whole = _best(said, desk, clauses)
    if whole.score < _CERTAIN and points_back:
        whole = _best(said, desk, clauses, favoured=points_back)
    continued = _continued(said, last, before, desk, whole) if last else []
    if continued:
        return continued
    if whole.score < _least_score(whole, desk) or all(map(forbids_a_change, clauses)):
        return []
    return [whole, *_rivals(said, desk, clauses, whole)]


def _with_what_follows(clauses: Sequence[str]) -> list[str]:
    """``clauses``, a bare "Why?" with the one that it asks about, and a bare id with the one that asks of it."""
    joined: list[str] = []
    for clause in clauses:
        if joined and (_BARE_QUESTION.fullmatch(clause) or _BARE_ID.fullmatch(without_ids(joined[-1]))):
            joined[-1] = f"{joined[-1]} {clause}"
        else:
            joined.append(clause)
    return joined


def _with_nouns(clauses: Sequence[str]) -> list[str]:
    """``clauses`` with the noun of an earlier one for "them": "don't block my cards, but show me them"."""
    told: list[str] = []
    for clause in clauses:
        nouns = _SEVERAL.findall(" ".join(told))
        told.append(_SHOW_THEM.sub(rf"\1 my {nouns[-1]}", clause) if nouns else clause)
    return told


def _is_banned(intent: Intent, clauses: Sequence[str], desk: Desk) -> bool:
    """Whether another clause says not to change anything, and the one of ``intent`` does not ask for it in words."""
    bans = any(forbids_a_change(clause) for clause in clauses)
    return bans and desk.tools[intent.kind].changes and not demands(intent.clause)


def _only_forbids(clause: str) -> bool:
    """Whether ``clause`` says what is not to be done and nothing else: beside a request it asks for no look-up."""
    return forbids_a_change(clause) and not seeks_information(clause)


def _coordinated(clause: str, desk: Desk) -> list[Intent]:
    """The intent of ``clause``; those of its parts where each asks for something else: "my cards and the payments"."""
    whole = _best(clause, desk, [clause])
    parts = [_best(part, desk, [clause]) for part in _COORDINATION.split(clause)]
    kinds = {part.kind for part in parts}
    are_lookups = all(
        kind in desk.tools and not desk.tools[kind].changes and not desk.takes_words(kind) for kind in kinds
    )
    is_sure = whole.kind in kinds and all(part.score >= _CERTAIN for part in parts)
    is_sure = is_sure and not any(_BARE_QUESTION.fullmatch(part.clause) for part in parts)
    if len(kinds) == len(parts) > 1 and are_lookups and is_sure:
        return [replace(part, clause=clause, part=part.clause) for part in parts]
    return [whole]


def _least_score(intent: Intent, desk: Desk) -> float:
    if intent.kind not in desk.tools:
        return _LIKELY_TALK
    is_about_a_bank = _IS_ABOUT_A_BANK.search(intent.clause) or plainly_pointed(intent.clause) != intent.clause
    return _LIKELY if is_about_a_bank else _CERTAIN


def _best(
    text: str, desk: Desk, clauses: Sequence[str], among: Sequence[str] = (), favoured: Collection[str] = ()
) -> Intent:
    """The likeliest intent of ``text``; tools that change something only where one of ``clauses`` may ask for it.

    Only of ``among``, where that is given; ``favoured`` are those that the conversation was about before.
    """
    if undoes(text) and not among:
        return Intent(UNSUPPORTED, text, 1.0)
    allowed = _allowed(text, desk, clauses)
    among = among or tuple(allowed)
    kinds = {
        kind: score + (_FAVOUR if kind in favoured else 0) for kind, score in allowed.items() if kind in among
    } or allowed
    kind = max(kinds, key=lambda kind: kinds[kind])
    return Intent(kind, text, kinds[kind])


def _allowed(text: str, desk: Desk, clauses: Sequence[str]) -> dict[str, float]:
    asks = demands if any(map(_puts_off, clauses)) else may_ask_for_a_change
    may_change = any(map(asks, clauses)) and not any(map(forbids_a_change, clauses))
    scores = desk.router.scores(text)
    return {
        kind: score
        for kind, score in scores.items()
        if may_change or kind not in desk.tools or not desk.tools[kind].changes
    }


def _puts_off(clause: str) -> bool:
    """Whether ``clause`` tells of a change that waits for something, is put off or is somebody else's."""
    return waits_for_something(clause) or is_told(clause)


def _rivals(text: str, desk: Desk, clauses: Sequence[str], best: Intent) -> list[Intent]:
    """Other tools that the words mean about as much, where the best one changes something."""
    if best.kind not in desk.tools or not desk.tools[best.kind].changes or best.score >= _CERTAIN:
        return []
    near = {kind: score for kind, score in _allowed(text, desk, clauses).items() if best.score - score < _TOO_CLOSE}
    return [Intent(kind, text, score) for kind, score in near.items() if kind in desk.tools and kind != best.kind]


def _without_asides(intents: Sequence[Intent], desk: Desk) -> list[Intent]:
    """``intents`` without those of mere remarks: "It is my debit card", "I made no such payment" beside "block it"."""
    demanded = [one for one in intents if desk.tools[one.kind].changes and demands(one.clause)]
    changes = _named(demanded or [one for one in intents if desk.tools[one.kind].changes], desk)
    changes = [one for one in intents if one in changes or (demanded and _disputes(one, desk))]
    asked = [one for one in intents if one in changes or seeks_information(one.clause)]
    asked = [one for one in asked if one in changes or not desk.tools[one.kind].changes]
    return asked or list(intents)


def _disputes(intent: Intent, desk: Desk) -> bool:
    """Whether ``intent`` wants a change and names what it is about by an id: no mere remark."""
    ids = {one.kind for one in ids_in_text(intent.clause)}
    return desk.tools[intent.kind].changes and "transaction" in ids


def _named(changes: Sequence[Intent], desk: Desk) -> Sequence[Intent]:
    """Of ``changes`` of several kinds those that a word names, if any: beside "block it" a "help me" is no case."""
    named = [one for one in changes if desk.router.is_named(one.kind, one.clause)]
    return named if len({one.kind for one in changes}) > 1 and named else changes


def _merged(intents: Sequence[Intent], said: str) -> list[Intent]:
    """One intent for each tool; the one of several clauses is read in the whole message."""
    merged: dict[str, Intent] = {}
    for intent in intents:
        merged[intent.kind] = replace(intent, clause=said, part="") if intent.kind in merged else intent
    return list(merged.values())


def _continued(said: str, last: Exchange, before: Sequence[Intent], desk: Desk, whole: Intent) -> list[Intent]:
    """The intents ``before``, where what is said now only adds to them: "and last month?", "the debit card"."""
    if any(forbids_a_change(clause) or _puts_off(clause) for clause in clauses_of(said)):
        return []
    tools = [one for one in before if one.kind in desk.tools]
    if _answers_a_question(said, last.answer, desk, whole):
        return [replace(one, clause=f"{said} {one.clause}") for one in tools]  # "no, CARD-2": the new words come first
    *others, question = clauses_of(said) or [said]
    if _BARE_QUESTION.fullmatch(question) and all(map(only_points, others)):
        return _asked_why(said, question, last, desk)
    goes_on = whole.kind in {one.kind for one in tools} and _GOES_ON.match(said)
    is_short = len(said.split()) <= _SHORT
    is_new = whole.score >= _CERTAIN and whole.kind in desk.tools and whole.kind not in {one.kind for one in tools}
    corrects = _CORRECTS.match(said) is not None and not seeks_information(said)
    leans = (corrects or _LEANS.match(said)) and (goes_on or is_short)
    if (is_new and not (corrects or only_points(without_ids(said)))) or not leans:
        return _asked_on(said, tools, desk, whole)
    return [
        replace(one, clause=f"{one.clause} {said}")
        if desk.takes_words(one.kind)
        else replace(one, clause=said, part="", before=(one.clause, *one.before))
        for one in tools
        if not desk.tools[one.kind].changes
    ]


def _asked_on(said: str, before: Sequence[Intent], desk: Desk, whole: Intent) -> list[Intent]:
    """The search among ``before`` for what ``said`` asks, if nothing tells of what else: "what about online shops?"."""
    if whole.score >= _least_score(whole, desk) or not seeks_information(said):
        return []
    searches = [one for one in before if desk.takes_words(one.kind) and not desk.tools[one.kind].changes]
    return [replace(one, clause=f"{one.clause} {said}") for one in searches]


def _asked_why(said: str, question: str, last: Exchange, desk: Desk) -> list[Intent]:
    """What a bare ``question`` such as "Why?" is about: a flag that the answer told of, or what was asked before."""
    asked = "was it flagged?" if "flagged" in last.answer and _WHY.search(question) else last.said
    about = _best(f"{question.rstrip(' ?')} {asked}", desk, [said])
    return [replace(about, clause=said)] if about.kind in desk.tools and about.score >= _CERTAIN else []


def _answers_a_question(said: str, asked: str, desk: Desk, whole: Intent) -> bool:
    """Whether the person's words answer what they were asked for, and are not something new."""
    is_new = whole.score >= _CERTAIN and (whole.kind not in desk.tools or seeks_information(said))
    return not is_new and may_answer(said, asked)


def possible_tools(said: str, desk: Desk) -> tuple[str, ...]:
    """The tools that ``said``, which is unclear, may ask for: likelier than any talk; a change only if demanded."""
    clauses = clauses_of(said)
    scores = _allowed(said, desk, clauses)
    is_demanded = any(map(demands, clauses))
    least = max([_POSSIBLE, *(score for kind, score in scores.items() if kind not in desk.tools)])
    return tuple(
        name for name, tool in desk.tools.items() if scores.get(name, 0) >= least and (is_demanded or not tool.changes)
    )


def is_torn(wanted: Sequence[Intent], desk: Desk) -> bool:
    """Whether ``wanted`` are readings of the same words, one of which would change something."""
    return all(one.clause == wanted[0].clause for one in wanted) and any(desk.tools[one.kind].changes for one in wanted)
