"""The arguments of a tool, found in the words of a conversation by grammar.

A parameter is recognised by its name (cardId, days, reason, ...) or, of a tool that is not known here, by its schema:
...Id takes an id, an enum one of its words, an integer a number, a required text the message itself. What is not found
is left out; whoever asked decides what a required parameter without a value means.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from local.models.asked_questions import BEFORE_A_BLOCK
from local.models.conversation import Conversation, Exchange
from local.models.conversation_ids import ids_for, ids_in_text, kind_of_parameter
from local.models.pointing import at_place, by_amount, by_name, place_in
from local.models.sentences import split_sentences
from local.models.spans_of_time import days_back
from local.models.speech_acts import without_denied_loss

type Json = dict[str, Any]

_LONGEST_SUBJECT = 200  # characters
_FLAGS = re.IGNORECASE | re.VERBOSE
# In this order: "My card was stolen and someone is using it" is about a theft, but stolen details are fraud.
_REASONS = {
    "details": r"""\b(?:details|data|numbers?|information|pin)\b .* \b(?:stolen|stole|leak\w*|copied)\b
        | \b(?:stolen|stole|has|have|got)\b .* \b(?:details|data|number)\b""",
    "stolen": r"""\b(?: stole\w* | steal\w* | theft
        | (?:thief|thieves)\b(?!\s+(?:is|are|was|keeps?)\s+(?:us|shopp|pay|buy|spend)ing)
        | rob | robb\w* | snatch\w* | pick-?pocket\w*
        | mugg\w*
        | (?:some(?:one|body)|stranger|(?:some|a)\s+(?:guy|man|bloke|woman|boy|girl|kid|person))\s+
          (?:has\s+|have\s+|just\s+)?
          (?:took|taken|grabbed|swiped|ran\s+off\s+with)\s+(?!money|payments?|cash|amounts?|funds|sums?|\W?\d|small|large)
        | (?:ripped|tore|yanked|wrenched|whipped|made\s+off|ran\s+off|ran\s+away)\b .{0,30}
          \b(?:away|off|with|from\s+m[ey]|out\s+of\s+my)
        | (?:broken?|forced|smashed)\s+(?:open|in\b)
        | (?:some(?:one|body)|stranger|they|he|she)\s+(?:(?:must|may|might|could)\s+)?(?:has\s+|have\s+)?
          (?:took|taken|grabbed)\s+(?:it|them|the\s+card|card-)
        | nicked | pinched | burgl\w* | broke\s+into | took\s+my | taken\s+(?:from|out\s+of)\s+(?:me|my)
        | gestohlen | geklaut | roba\w* )\b""",
    "lost": r"""\b(?: lost | lose | loo?sing | loss | mis-?laid | mis-?placed | missing | gone | forgot\w* | dropped
        | disappeared | vanished | left | nowhere
        | (?: slip\w* | f[ae]ll(?:en|s)? | slid\w* | drop\w* ) \s+ (?:out|from|off|down|through|into|overboard)
        | verloren | perd\w+
        | (?:isn'?t|is\s+not|'s\s+not|not)\s+(?:here|there|with\s+me|in\s+my\s+\w+)
        | (?:can\s*not|can'?t|couldn'?t|don'?t|unable\s+to)\s+(?:seem\s+to\s+)?find )\b""",
    "fraud": r"""\b(?: fraud\w* | scam\w* | phish\w* | hack\w* | clon(?:ed|e|ing) | copied | skimm\w* | compromised
        | unauthori[sz]ed | abus\w* | misus\w* | betrug | fraude | (?:wasn'?t|not)\s+me | not\s+mine | fake | suspicious
        | (?:did\s*n[o']?t|never|not)\s+(?:make|made|do|did|buy|bought|authori[sz]e\w*) | don'?t\s+recogni[sz]e
        | (?:strange|odd|weird|unknown|unfamiliar|unusual)\s+(?:payment|charge|transaction|purchase|debit|booking)s?
        | knows?\s+(?:\w+\s+){0,2}(?:pin|codes?|numbers?|details|data)
        | (?:shops|shopping|pays|paying|buys|buying)\s+(?:\w+\s+){0,2}with\s+(?:it|my)
        | (?:others|(?:other|unknown)\s+people|another\s+person|third\s+part(?:y|ies))\s+
          (?:is|are|has|have|was|were|keeps?|used?|uses|using|pays?|paying|paid|buys?|buying|bought)
        | (?:some(?:one|body)|anyone|stranger\w*|thief|thieves|crooks?)\s+(?:else\s+)?
          (?:is|are|has|was|keeps|used|uses|using|bought|shopping|did|made|paid) )\b""",
}
_FLAGGED = re.compile(
    r"\b(?:flagged|flags|suspicious|suspect\w*|unusual|strange|weird|odd|dubious|doubtful|doubts|dodgy|fishy|shady|sketchy|sus|iffy|funny|peculiar|questionable|irregular\w*|abnormal|worr\w*|warnings?|fraud\w*|stopped|declined|refused|rejected|alerts?|alarms?|h(?:old|eld)\s+(?:back|up)|look\w*\s+off|risky"
    r"|verd\w*chtig\w*|sospechos\w*)\b",
    re.IGNORECASE,
)
# "Not only the suspicious ones": all of them.
_NOT_ONLY = re.compile(r"\bnot\s+(?:only|just|merely)\b[^,.;!?]*", re.IGNORECASE)
_EVERYTHING = re.compile(
    r"\b(?:all|any|everything|every|the\s+(?:others?|rest)|normal|payments|transactions)\b", re.IGNORECASE
)
_POINTING = re.compile(
    r"\b(?:it|its|(?:that|this)(?!\s+(?:time|period|day|week|weekend|month|quarter|year|morning|afternoon|evening)\b)|them|those|these|(?:the|that|this|said|same)\s+(?:one|card|transaction|payment|purchase|charge|booking|debit|flag|score|alert|severity)"
    r"|other\s+one|sie|es|la)\b",
    re.IGNORECASE,
)
_ALIKE = re.compile(r"\blike\s+(?:this|that|it|these|those)(?:\s+one)?\b", re.IGNORECASE)
_WHY = re.compile(r"\W*(?:but|and|so)?\W*(?:why|how come|how so)\W*", re.IGNORECASE)
_ASKS_OF_A_FLAG = re.compile(r"\b(?:why|how come|flag\w*|suspicious|alert|warning|wrong|matter)\b", re.IGNORECASE)
_THE_OTHER = re.compile(r"\b(?:the\s+)?other\s+(?:one|card|payment|transaction|purchase|charge)\b", re.IGNORECASE)
_ANOTHER_CARD = re.compile(r"\b(?:debit|credit|business|other|all|both|every)\b", re.IGNORECASE)
_STATUS = re.compile(
    r"\b(?:(?P<blocked>blocked|frozen|locked|stopped)|active|working|usable|open)\s+(?:one|card)\b", re.IGNORECASE
)
# As list_cards tells a card: "Your debit card ending 0042 (CARD-000042) is active."
_CARD_TOLD = re.compile(
    r"\bYour (?P<label>[\w' -]{3,60}) \((?P<card>[\w:.-]+)\) (?:is|has been) (?P<status>active|blocked)\b"
)
# "not 3318", "instead of the debit card": what is named beside what is meant.
_PASSED_OVER = re.compile(
    r"\b(?:not|instead\s+of|rather\s+than|other\s+than|except)\s+(?:(?:for|the|my|card|one|with|ending|in)\s+){0,4}"
    r"(?:[\w-]*\d[\w-]*|(?:debit|credit|first|second|third|last)(?:\s+(?:card|one))?)",
    re.IGNORECASE,
)
_ENDING = re.compile(
    r"\b(?:end(?:s|ing)?(?:\s+(?:in|with|on))?|card|(?:last|final)\s+(?:(?:four|4)\s+)?digits(?:\s+are)?|number|no\.?|\#|\*+|x+)\s*:?\s*\#?(\d{2,8})\b",
    _FLAGS,
)
_FOUR_DIGITS = re.compile(r"(?<![\w.,:/-])\d{4}(?![\w:/-]|[.,]\d|\s*(?:€|eur))", re.IGNORECASE)  # "the 8320"
_LEAD_IN = re.compile(
    r"""^\W*(?:(?:hi|hello|hey|please|so|and|ok|well|now|i\s+(?:want|wish|need)\s+(?:you\s+)?to|i\s*(?:'d|would)\s+like\s+(?:you\s+)?to
    |can\s+you|could\s+you|would\s+you|can\s+i|could\s+i|let's|let\s+us|just)\b[\s,]*)*
    (?:(?:open|raise|file|start|create|make|lodge|log|submit)\s+(?:me\s+)?(?:an?|the|another|new)?\s*(?:new\s+)?
       (?:case|ticket|complaint|dispute|claim|investigation|report)\b[\s,:-]*
       (?:(?:for|with)\s+(?:an?\s+|the\s+|your\s+)?(?:analyst|team|human|person|colleague)\b[\s,:-]*)?
       (?:(?:about|because(?:\s+of)?|for|on|regarding|concerning|as|that\s+says|saying|over|out\s+of|of|to\s+say)\b[\s,:-]*)?
    )?(?:(?:the\s+)?subject\s*(?:is|:)\s*)?""",
    _FLAGS,
)
_THIN_QUESTION = re.compile(
    r"(?:look|see|check|search|please|just|in|into|it|up|at|the|my|our|that|this|terms|policy|contract|agreement|lease|letter"
    r"|documents?|papers?|conditions|for|me|and|\W)*",
    re.IGNORECASE,
)
_EMPTY = r"(?:an?|the|it|this|that|please|now|for|me|case|about|to|then|do|so|of|out|analyst|human|\W)*"
_EMPTY_SUBJECT = re.compile(_EMPTY, re.IGNORECASE)
_THIN_SUBJECT = re.compile(rf"{_EMPTY}(?:escalate|complain|dispute|report|investigate|contest)?{_EMPTY}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Words:
    """What arguments are looked for in: the ``clause`` that asks for the tool, then the conversation around it."""

    clause: str
    conversation: Conversation
    today: date
    part: str = ""  # the words of ``clause`` that name the tool, where it asks for several
    before: tuple[str, ...] = ()  # what ``clause`` goes on with: what it leaves out is as there


def fill(schema: Mapping[str, Any], words: Words) -> Json:
    """The arguments for a tool with the JSON Schema ``schema`` that ``words`` give; those not found are left out."""
    found = {}
    for name, parameter in (schema.get("properties") or {}).items():
        value = _value(name, parameter, name in (schema.get("required") or ()), words)
        if value is not None and value in (parameter.get("enum") or (value,)):
            found[name] = value
    return found


def reason_of(text: str) -> str | None:
    """Why a card is to be blocked, as ``text`` tells it: lost, stolen or fraud."""
    text = without_denied_loss(text)
    found = next((reason for reason, pattern in _REASONS.items() if re.search(pattern, text, _FLAGS)), None)
    return "fraud" if found == "details" else found


def cards_known(conversation: Conversation) -> list[Json]:
    """The records of cards that the newest look-up in the conversation has, each with its cardId."""
    for exchange in (conversation.now, *reversed(conversation.earlier)):
        records = [record for outcome in exchange.outcomes for record in outcome.records("cardId")]
        cards = {str(record["cardId"]): record for record in records if "status" in record or "label" in record}
        if cards:
            return list(cards.values())
    return []


def _cards_told(conversation: Conversation) -> list[Json]:
    """The cards that are known or, without any look-up, those of the newest answer that told some."""
    told = (list(_CARD_TOLD.finditer(exchange.answer)) for exchange in reversed(conversation.earlier))
    newest = next((cards for cards in told if cards), [])
    return cards_known(conversation) or [
        {"cardId": one["card"], "label": one["label"], "status": one["status"]} for one in newest
    ]


def _value(name: str, parameter: Mapping[str, Any], required: bool, words: Words) -> Any:
    if kind_of_parameter(name):
        return card_id(words, name, required) if kind_of_parameter(name) == "card" else _mentioned_id(name, words)
    known: dict[str, Callable[[], Any]] = {
        "days": lambda: _within(_days(words), parameter),
        "onlyFlagged": lambda: _flag(_asks_for_flagged(words), parameter),
        "reason": lambda: _reason(parameter, words),
        "subject": lambda: _subject(words),
        "question": lambda: _question(words),
    }
    return known[name]() if name in known else _by_schema(parameter, required, words)


def _asks_for_flagged(words: Words) -> bool:
    """Whether only what is suspicious is asked for; what goes on with such a question does too, but for "all"."""
    said = words.part or words.clause
    before = () if _NOT_ONLY.search(said) or _EVERYTHING.search(said) else words.before
    return any(_FLAGGED.search(_NOT_ONLY.sub(" ", text)) for text in (said, *before))


def _by_schema(parameter: Mapping[str, Any], required: bool, words: Words) -> Any:
    choices = parameter.get("enum") or ()
    if choices:
        return next(
            (choice for choice in choices if re.search(rf"\b{re.escape(str(choice))}\b", words.clause, re.I)), None
        )
    if parameter.get("type") in ("integer", "number"):
        number = re.search(r"(?<![\w-])\d+(?![\w-])", words.clause)
        return int(number[0]) if number else None
    return words.clause if required and parameter.get("type") == "string" else None


# --- Ids


def card_id(words: Words, name: str, required: bool) -> str | None:
    """The card that is meant: named, told by its place, digits or label, pointed at, or the only one there is.

    A required one, which is to be changed, is not told by the label that an old answer gave: it is looked up anew.
    """
    named, said = _named(name, words), words.conversation.now.said
    if named and (named[0] in ids_for(name, ids_in_text(said)) or not _means_another(said)):
        return named[0]
    told, place = _cards_told(words.conversation), _place(words)
    if place is not None:
        card = at_place([] if _lists_payments(words) else told, place)
        return str(card["cardId"]) if card else None
    cards = cards_known(words.conversation) if required else told
    is_other = words.conversation.earlier and _THE_OTHER.search(said)
    meant = _others(name, words, cards) if is_other else _described(_PASSED_OVER.sub(" ", said), cards)
    if meant or is_other:
        return str(meant[0]["cardId"]) if len(meant) == 1 else None
    if named:  # of what was asked for before; another one must be looked up first
        return None if required and not cards else named[0]
    return _pointed_at(name, words) or _proposed(name, words) or _before(name, words) or _only_active(words, cards)


def _means_another(said: str) -> bool:
    """Whether ``said`` points at a card by other means than an id: against an id of an earlier message that counts."""
    return place_in(said) is not None or _ANOTHER_CARD.search(said) is not None or _ENDING.search(said) is not None


def _others(name: str, words: Words, cards: list[Json]) -> list[Json]:
    """The cards that the last exchange was not about."""
    mentioned = ids_for(name, words.conversation.earlier[-1].ids())
    return [card for card in cards if card["cardId"] not in mentioned]


def _before(name: str, words: Words) -> str | None:
    """The card of the look-up that is gone on with, unless another is meant."""
    before = () if _ANOTHER_CARD.search(words.conversation.now.said) else words.before
    return next((one for text in before for one in ids_for(name, ids_in_text(text))), None)


def _only_active(words: Words, cards: list[Json]) -> str | None:
    active = [card for card in cards if card.get("status") != "blocked"]
    return str(active[0]["cardId"]) if len(active) == 1 and words.conversation.now.outcomes else None


def _described(said: str, cards: list[Json]) -> list[Json]:
    """The cards whose last digits or whose label ``said`` tells."""
    digits = _ENDING.findall(said) or _FOUR_DIGITS.findall(said)
    by_digits = [card for card in cards for ending in digits if _ends_with(card, ending)]
    if by_digits:
        return by_digits
    status = _STATUS.search(said)
    if status:
        return [card for card in cards if (card.get("status") == "blocked") == bool(status["blocked"])]
    words = {word.lower() for word in re.findall(r"[^\W\d_]{3,}", said)}
    labels = [{word.lower() for word in re.findall(r"[^\W\d_]{3,}", str(card.get("label", "")))} for card in cards]
    shared = set.intersection(*labels) if labels else set()
    hits = [len(words & (label - shared)) for label in labels]
    best = max(hits, default=0)
    return [card for card, hit in zip(cards, hits, strict=True) if best and hit == best]


def _ends_with(card: Mapping[str, Any], ending: str) -> bool:
    digits = re.sub(r"\D", "", str(card["cardId"]))
    return digits.endswith(ending) or re.search(rf"{ending}\b", str(card.get("label", ""))) is not None


def _mentioned_id(name: str, words: Words) -> str | None:
    named = _named(name, words)
    if named:
        return named[0]
    place = _place(words)
    if place is not None:
        return at_place(_listed(name, words), place)
    if kind_of_parameter(name) == "transaction":
        answers = [exchange.answer for exchange in reversed(words.conversation.earlier)]
        texts = (words.clause, words.conversation.now.said)
        told = next((one for by in (by_amount, by_name) for text in texts if (one := by(text, answers))), None)
        if told:
            return told
    return _other(name, words) if _THE_OTHER.search(words.conversation.now.said) else _pointed_at(name, words)


def _place(words: Words) -> int | None:
    texts = (_PASSED_OVER.sub(" ", text) for text in (words.clause, words.conversation.now.said))
    return next((place for place in map(place_in, texts) if place is not None), None)


def _lists_payments(words: Words) -> bool:
    """Whether the places are those of payments: these were told last, and no word says that a card is meant."""
    told = [ids_in_text(exchange.answer) for exchange in words.conversation.earlier[-1:]]
    payments = {one.text for ids in told for one in ids if one.kind == "transaction"}
    return len(payments) > 1 and not re.search(r"\bcards?\b", words.conversation.now.said, re.IGNORECASE)


def _listed(name: str, words: Words) -> list[str]:
    """The ids of the newest answer that told several."""
    told = (ids_for(name, ids_in_text(exchange.answer)) for exchange in reversed(words.conversation.earlier))
    return next((ids for ids in told if len(ids) > 1), [])


def _other(name: str, words: Words) -> str | None:
    """The one of the newest several that the last exchange was not about."""
    mentioned = ids_for(name, words.conversation.earlier[-1].ids()) if words.conversation.earlier else []
    others = [one for one in _listed(name, words) if one not in mentioned]
    return others[0] if len(others) == 1 else None


def _named(name: str, words: Words) -> list[str]:
    """The ids in the clause, or else in the whole message, but for those that are passed over."""
    texts = (words.clause, words.conversation.now.said)
    meant = (ids_for(name, ids_in_text(text)) for said in texts for text in (_PASSED_OVER.sub(" ", said), said))
    return next((ids for ids in meant if ids), [])


def _proposed(name: str, words: Words) -> str | None:
    """The card of the question whether to block it, where the person answers without naming any."""
    last = words.conversation.earlier[-1:]
    asked = last[0].answer if last and BEFORE_A_BLOCK in last[0].answer else ""
    return next(iter(ids_for(name, ids_in_text(asked))), None)


def _pointed_at(name: str, words: Words) -> str | None:
    """What "it" is: the one id of the newest earlier exchange that has any of the kind; of several, none."""
    said = _ALIKE.sub(" ", words.conversation.now.said)
    if not (_POINTING.search(said) or _WHY.fullmatch(said)):
        return None
    for exchange in reversed(words.conversation.earlier):
        ids = _ids_of(exchange, name)
        if len(ids) > 1 and kind_of_parameter(name) == "transaction" and _ASKS_OF_A_FLAG.search(words.clause):
            ids = [one for one in ids if _is_flagged(one, exchange.answer)]
        if ids:
            return ids[0] if len(ids) == 1 else None
    summarised = ids_for(name, ids_in_text(words.conversation.background))
    return summarised[-1] if summarised else None


def _is_flagged(one: str, answer: str) -> bool:
    return any(one in sentence and "flagged" in sentence for sentence in split_sentences(answer))


def _ids_of(exchange: Exchange, name: str) -> list[str]:
    kind = kind_of_parameter(name)
    return [
        text
        for text in ids_for(name, exchange.ids())
        if any(one.kind == kind for one in exchange.ids() if one.text == text)
    ]


# --- Words


def _days(words: Words) -> int | None:
    texts = (words.clause, *words.before)
    return next((days for days in (days_back(text, words.today) for text in texts) if days), None)


def _within(days: int | None, parameter: Mapping[str, Any]) -> int | None:
    if days is None:
        return None
    least, most = int(parameter.get("minimum", 1)), int(parameter.get("maximum", days))
    return max(least, min(days, most))


def _flag(is_so: bool, parameter: Mapping[str, Any]) -> Any:
    if not is_so:
        return None
    return True if parameter.get("type") == "boolean" else "true"


def _reason(parameter: Mapping[str, Any], words: Words) -> str | None:
    before = words.conversation.earlier[-1:]
    said = [words.clause, words.conversation.now.said, *(exchange.said for exchange in before)]
    reason = next((reason for reason in map(reason_of, said) if reason), None)
    return reason or ("other" if "other" in (parameter.get("enum") or ("other",)) else None)


def _question(words: Words) -> str:
    """What to look for: the clause or, where that says only where to look, the whole message."""
    said = words.conversation.now.said if _THIN_QUESTION.fullmatch(words.clause) else words.clause
    return " ".join(said.split())


def _subject(words: Words) -> str | None:
    """What the case is about, in the person's words; without any, in those of what they said before."""
    said = words.conversation.now.said
    before = [exchange.said for exchange in words.conversation.earlier[-1:]]
    subjects = [" ".join(_LEAD_IN.sub("", text, count=1).split()) for text in (said, *before)]
    told = [subject for subject in subjects if not _THIN_SUBJECT.fullmatch(subject)]
    told += [subject for subject in subjects if not _EMPTY_SUBJECT.fullmatch(subject)]
    return _shortened(told[0][0].upper() + told[0][1:]) if told else None


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_SUBJECT:
        return text
    return text[: _LONGEST_SUBJECT - 1].rsplit(" ", 1)[0] + "\u2026"
