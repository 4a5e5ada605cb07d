"""Which of several things that were told a person points at.

By its place ("the second one", "the last of them"), its amount ("the 21.50 one"), its size ("the big one") or a word
that was told of it alone ("the Porto one", "the one in Porto"). A place counts in the order in which the things were
told.
"""

import re
from collections.abc import Callable, Sequence

from local.models.conversation_ids import ids_in_text
from local.models.sentences import split_sentences

_PLACES = {
    word: place
    for place, words in enumerate(
        ("first 1st former one 1", "second 2nd two 2", "third 3rd three 3", "fourth 4th", "fifth 5th")
    )
    for word in words.split()
} | {"last": -1, "latter": -1}
_ORDINAL = "|".join(
    word for word, place in _PLACES.items() if place >= 0 and len(word) > 2 and word not in ("one", "two", "three")
)
_NAMED = "card|payment|transaction|purchase|charge|booking"
_GROUP = rf"of\s+(?:them|these|those|(?:the|my)\s+(?:(?:two|three|four)\b|(?:{_NAMED})s\b))"
# Not "since the first", which is a day, and not "the last payment", which is the newest.
_PLACED = re.compile(
    rf"""(?<!since\s)(?<!from\s)(?<!until\s)(?<!on\s) \b(?:the\s+(?:very\s+)?|that\s+|my\s+|^\W*)
    (?: (?P<first>{_ORDINAL}|last|latter) \s+ (?:one\b|{_GROUP})
      | (?P<second>{_ORDINAL}|latter)
        (?: \s+ (?P<noun>{_NAMED})\b | (?=\W*$|\s*[,;.!?])
          | (?=\s+(?:because|please|pls|is|was|isn't|wasn't|has|too|then|instead|now|and|but|in|over|since|during
            |for\s+me)\b) )
    ) | \b(?:card\s+)?(?:number|no\.?|\#)\s*(?P<numbered>one|two|three|[123])\b(?![\w:.,-]*\d)""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER = r"\d+(?:[.,]\d{1,2})?"
_BY_AMOUNT = re.compile(rf"\b(?:the|that)\s+(?:[€$]\s*)?{_NUMBER}(?:\s*(?:€|eur|euros?))?\s+(?:one|{_NAMED})\b", re.I)
# "Did the 12.50 to the baker go through?": the payment of that amount.
_FOR_A_PAYMENT = re.compile(
    rf"\b(?:the|my|that)\s+(?:[€$]\s*{_NUMBER}|{_NUMBER}\s*(?:€|eur|euros?)(?!\w)|\d+[.,]\d{{2}})"
    r"(?=\W*$|\s+(?:to|from|for|at|on|i|go|goes|gone|went|get|been|has|have|had|was|is|arrive|leave|yet|already|come)\b)",
    re.IGNORECASE,
)
_SAID_AMOUNT = re.compile(rf"(?<![\w.,-])({_NUMBER})(?![\w-]|[.,]\d|\s*(?:days?|hours?|weeks?|months?|%))", re.I)
_TOLD_AMOUNT = re.compile(r"(?:EUR|€)\s*(\d[\d.,]*)|(\d[\d.,]*)\s*(?:EUR|€|euros?)", re.IGNORECASE)
_LABELLED = re.compile(
    r"\b(?:the|my)\s+(?:debit|credit|business|blocked|frozen|locked|active|working|visa|master\s?card|gold|virtual)\s+one\b",
    re.IGNORECASE,
)
_LABELLED_CARD = re.compile(r"\b(?:the|my)\s+(?:debit|credit|business|blocked|active)\s+card\b", re.IGNORECASE)
_ONLY_POINTS = re.compile(
    rf"\W*(?:(?:and|but|ok|so|or|then|now|just|only|what\s+about|how\s+about|for|of|with)\W+)*(?:this|the\s+other)\s+(?:one|{_NAMED})\W*",
    re.IGNORECASE,
)
_SIZED = re.compile(
    r"\b(?:the|that)\s+(?:\w+\s+)?(?:(?P<big>big(?:ger|gest)?|large(?:r|st)?|huge|high(?:er|est)?|expensive)"
    r"|(?P<small>small(?:er|est)?|tiny|little|low(?:er|est)?|cheap(?:er|est)?))\s+(?:one|amount|sum|" + _NAMED + r")\b",
    re.IGNORECASE,
)
_NAME = r"(?P<{}>[^\W\d_][\w'&-]{{2,}})"
_BY_NAME = re.compile(
    rf"\b(?:the|that)\s+{_NAME.format('before')}\s+(?:one|{_NAMED})\b"
    rf"|\b(?:one|{_NAMED})\s+(?:in|at|from|to|near)\s+(?:the\s+)?{_NAME.format('behind')}",
    re.IGNORECASE,
)
# A word in capitals before "one" is a name; of others only the answer before could tell.
_NAMED_ONE = re.compile(
    r"\b(?:[Tt]he|[Tt]hat)\s+(?:[A-Z][\w'&-]+\s+one\b|one\s+(?:in|at|from|near)\s+(?:the\s+)?[\w'&-]+)"
)


def place_in(text: str) -> int | None:
    """The place that ``text`` points at, from 0, or -1 for the last."""
    found = _PLACED.search(text)
    return _PLACES[(found["first"] or found["second"] or found["numbered"]).lower()] if found else None


def plainly_pointed(text: str) -> str:
    """``text`` with "this one" or "the payment" for what it points at: which it is says nothing of what is wanted."""
    text = _FOR_A_PAYMENT.sub("the payment", text)
    text = _PLACED.sub(lambda found: f"this {found['noun'] or 'one'}", text)
    return _NAMED_ONE.sub("this one", _LABELLED.sub("this card", _BY_AMOUNT.sub("this one", text)))


def only_points(text: str) -> bool:
    """Whether ``text`` names one of several and says nothing of it: "and the second one?"."""
    return _ONLY_POINTS.fullmatch(_LABELLED_CARD.sub("this card", plainly_pointed(text))) is not None


def at_place[T](things: Sequence[T], place: int) -> T | None:
    """The one of ``things`` at ``place``; None where there are not as many, or no choice."""
    return things[place] if len(things) > max(place, 1) else None


def by_amount(said: str, answers: Sequence[str]) -> str | None:
    """The transaction of ``answers``, newest first, whose amount ``said`` tells or whose size it describes."""
    amounts = {_number(one) for one in _SAID_AMOUNT.findall(_without_ids(said))}
    sized = _SIZED.search(said)
    for told in map(_amounts_told, answers):
        meant = [one for one, amount in told.items() if {amount, int(amount)} & amounts]
        if len(meant) == 1:
            return meant[0]
        if sized and len(told) > 1:
            extreme: Callable[..., str] = max if sized["big"] else min
            return extreme(told, key=told.__getitem__)
    return None


def by_name(said: str, answers: Sequence[str]) -> str | None:
    """The transaction of ``answers``, newest first, of which alone a word was told that ``said`` names it by."""
    names = {(found["before"] or found["behind"]).lower() for found in _BY_NAME.finditer(said)}
    for answer in answers:
        told = [
            sentence for sentence in split_sentences(answer) if names & set(re.findall(r"[\w'&-]+", sentence.lower()))
        ]
        ids = {one.text for sentence in told for one in ids_in_text(sentence) if one.kind == "transaction"}
        if len(ids) == 1:
            return ids.pop()
    return None


def _amounts_told(answer: str) -> dict[str, float]:
    """The amount of each transaction of which a sentence of ``answer`` tells one."""
    told = {}
    for sentence in split_sentences(answer):
        ids = {one.text for one in ids_in_text(sentence) if one.kind == "transaction"}
        amount = _TOLD_AMOUNT.search(sentence)
        if len(ids) == 1 and amount:
            told[ids.pop()] = _number(amount[1] or amount[2])
    return told


def _number(text: str) -> float:
    """The number that ``text`` writes; only what stands before one or two last digits is a decimal point."""
    whole, point, cents = re.sub(r"[.,]+$", "", text).replace(",", ".").rpartition(".")
    if point and len(cents) <= 2:
        return float(f"{whole.replace('.', '')}.{cents}")
    return float((whole + cents).replace(".", ""))


def _without_ids(said: str) -> str:
    for one in ids_in_text(said):
        said = re.sub(re.escape(one.text), " ", said, flags=re.IGNORECASE)
    return said
