"""Reads what an investigation's prompt says: which transaction, what is known in numbers, what was done.

The prompt is plan_next_action's: the goal, facts with ids in the tools' own sentences, steps done, moves allowed. A
sentence is understood whole or not at all, and only where it is about the goal's transaction; so a text that somebody
put into a label cannot say a number. Nothing else in a fact has any effect. What no sentence says is unknown, not zero.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

GOAL, KNOWN, DONE, MOVES = "Goal:", "What is known:", "Done so far:", "What you may do next:"
_GOAL = re.compile(r"^Goal: .*?\btransaction ([A-Za-z0-9_.:-]{1,64}) of customer ", re.MULTILINE)
_FACT = re.compile(r"\[(F[0-9]+\.[0-9]+)\] (.+)")
_STEP = re.compile(r"[0-9]+\. ([a-z_]+): ([a-z_]+)")

type Reader = Callable[..., Iterator[tuple[str, float, str]]]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a fact states, or that follows from one; ``said`` is how to say it again, as part of a sentence."""

    value: float
    fact: str
    said: str


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a prompt says: quantities by name, and the steps ``done`` as (move, outcome)."""

    quantities: dict[str, Quantity]
    done: tuple[tuple[str, str], ...]


def read_briefing(text: str, ids: Collection[str]) -> Briefing:
    """What ``text`` says in the facts of ``ids``; of an id that stands there twice nothing: one is forged."""
    goal = _GOAL.search(text)  # the first: facts come after it
    head, _, rest = text.rpartition(f"\n{DONE}\n")
    if not goal or not head:
        return Briefing({}, ())
    lines = [found for line in head.splitlines() if (found := _FACT.fullmatch(line))]
    times = Counter(found[1] for found in lines)
    quantities: dict[str, Quantity] = {}
    for fact, sentence in (found.groups() for found in lines):
        if fact in ids and times[fact] == 1:
            for name, value, said in _numbers(sentence, goal[1]):
                quantities.setdefault(name, Quantity(value, fact, said))
    steps = (_STEP.fullmatch(line) for line in rest.partition(f"\n{MOVES}\n")[0].splitlines())
    return Briefing(quantities, tuple((step[1], step[2]) for step in steps if step))


def _numbers(sentence: str, transaction: str) -> Iterator[tuple[str, float, str]]:
    for form, reader in _GRAMMAR:
        found = form.fullmatch(sentence)
        if found:
            said = found.groupdict()
            if said.pop("id", transaction) == transaction:
                yield from reader(**said)
            return


# ---- explain_flag


def _flagged(money: str, currency: str, severity: str, reasons: str) -> Iterator[tuple[str, float, str]]:
    yield "amount", _number(money), f"the amount is {money} {currency}"
    yield "severity", {"low": 0.0, "medium": 1.0, "high": 2.0}[severity], f"the flag's severity is {severity}"
    for name, form in _RULES.items():
        found = form.search(reasons)
        yield name, float(found is not None), f"a rule says: {found[0]}" if found else f"no {name} rule fired"


def _score(score: str) -> Iterator[tuple[str, float, str]]:
    yield "score", float(score), f"the fraud model's score is {score}"


def _drivers(drivers: str) -> Iterator[tuple[str, float, str]]:
    for days, share in _SHARE.findall(drivers):
        name = {"a day": "1", "7 days": "7", "30 days": "30"}[days]
        said = f"the score saw {share}% known frauds at the terminal in {days}"
        yield f"scored_terminal_share_{name}", int(share) / 100, said
    by_amount = drivers.startswith("the amount, ")
    yield "amount_drives", float(by_amount), f"the amount is {'' if by_amount else 'not '}what raised the score most"


# ---- review_card


def _card_alone() -> Iterator[tuple[str, float, str]]:
    yield "card_payments", 0.0, "the card made no other payment in 30 days"


def _card(count: str, money: str, currency: str) -> Iterator[tuple[str, float, str]]:
    yield "card_payments", _number(count), f"the card made {count} other payments in 30 days"
    yield "card_mean", _number(money), f"the card pays {money} {currency} on average"


def _times(times: str, money: str, currency: str) -> Iterator[tuple[str, float, str]]:
    yield "times_mean", _number(times), f"{money} {currency} is {times} times what the card pays on average"


def _highest(money: str, currency: str) -> Iterator[tuple[str, float, str]]:
    yield "card_highest", _number(money), f"the card's highest other payment was {money} {currency}"


def _around(hour: str, day: str) -> Iterator[tuple[str, float, str]]:
    yield "card_hour", _number(hour), f"the card made {hour} other payments within an hour"
    yield "card_day", _number(day), f"the card made {day} other payments within a day"


def _card_flags(count: str | None, fraud: str | None, genuine: str | None) -> Iterator[tuple[str, float, str]]:
    return _flags("card", "of the card", count, fraud, genuine)


# ---- review_terminal


def _terminal(count: str, frauds: str) -> Iterator[tuple[str, float, str]]:
    return _known_frauds("28", count, frauds)


def _terminal_lately(count: str, frauds: str) -> Iterator[tuple[str, float, str]]:
    return _known_frauds("7", count, frauds)


def _terminal_flags(
    count: str | None, cards: str | None, fraud: str | None, genuine: str | None
) -> Iterator[tuple[str, float, str]]:
    yield "terminal_cards", _number(cards or "0"), f"{cards or 'no'} other cards were flagged at the terminal"
    yield from _flags("terminal", "at the terminal", count, fraud, genuine)


def _newest(days: str, label: str) -> Iterator[tuple[str, float, str]]:
    said = f"the newest decided one at the terminal, {days} days before, was {label}"
    # One scale: genuine ones on the left of 0, the newer the farther out; fraudulent ones on the right.
    nearness = 1 / (1 + _number(days))
    yield "terminal_newest", nearness if label == "fraud" else -nearness, said


# ---- review_past_cases


def _past_cases(confirmed: str | None, genuine: str | None) -> Iterator[tuple[str, float, str]]:
    yield "cases_fraud", _number(confirmed or "0"), f"{confirmed or 'no'} past cases of the customer were confirmed"
    yield "cases_genuine", _number(genuine or "0"), f"{genuine or 'no'} past cases of the customer were genuine"


def _open_cases(count: str) -> Iterator[tuple[str, float, str]]:
    yield "cases_open", _number(count), f"{count} other cases of the customer are open"


# ---- what they share


def _known_frauds(days: str, count: str, frauds: str) -> Iterator[tuple[str, float, str]]:
    payments, known = _number(count), _number(frauds)
    said = f"{frauds} of {count} other payments at the terminal in {days} days are known to be fraud"
    yield f"terminal_frauds_{days}", known, said
    if payments:
        yield f"terminal_share_{days}", min(known / payments, 1.0), said


def _flags(
    what: str, where: str, count: str | None, fraud: str | None, genuine: str | None
) -> Iterator[tuple[str, float, str]]:
    flagged, frauds, genuines = (_number(one or "0") for one in (count, fraud, genuine))
    said = f"of {count or 'no'} other flagged transactions {where} {fraud or 0} were fraud, {genuine or 0} genuine"
    yield f"{what}_flagged", flagged, said
    yield f"{what}_flagged_fraud", frauds, said
    yield f"{what}_flagged_genuine", genuines, said
    if frauds + genuines:
        yield f"{what}_flagged_share", frauds / (frauds + genuines), said


def _number(text: str) -> float:
    return float(text.replace(",", ""))


_RULES = {
    "velocity": re.compile(r"The card was used \d+ times within 10 minutes"),
    "limit": re.compile(r"The amount [A-Z]{3} [\d,.]+\d is above the limit of"),
    "travel": re.compile(r"The card was used \d+ km apart within \d+ minutes"),
    "profile": re.compile(r"The amount [A-Z]{3} [\d,.]+\d is at least \d+ times the card's 30-day mean"),
}
_SHARE = re.compile(r"the share of known frauds at the terminal in (a day|7 days|30 days), (\d{1,3})%")


def _n(name: str) -> str:
    return rf"(?P<{name}>[\d,]+(?:\.\d+)?)"


_ANY = r"[A-Za-z0-9_.:-]{1,64}"
_ID = rf"(?P<id>{_ANY})"
_MONEY = rf"{_n('money')} (?P<currency>[A-Z]{{3}})"
_OUTCOMES = rf": {_n('fraud')} turned out to be fraud, {_n('genuine')} genuine, [\d,]+ undecided\."
_FLAG = (
    rf"Transaction {_ID} of {_MONEY} with {_ANY} at terminal {_ANY} on [\w ,:]+ was flagged with severity "
    r"(?P<severity>low|medium|high): (?P<reasons>.*)"
)
_MADE = rf"In the 30 days up to transaction {_ID}, card {_ANY} made"
_BEFORE = rf"In the 14 days before {_ID}, (?:no|{_n('count')})"
_KNOWN = rf"had {_n('count')} other payments?, of which {_n('frauds')} (?:is|are) known to be fraud\."
_CLOSED = (
    r"In the last 180 days (?:no case|[\d,]+ cases?) of the customer (?:was|were) closed"
    rf"(?:\.|: {_n('confirmed')} as confirmed fraud, {_n('genuine')} as genuine, [\d,]+ unresolved\.)"
)
_AT_TERMINAL = (
    rf"{_BEFORE} other transactions? at the terminal (?:was|were) flagged"
    rf"(?:, with {_n('cards')} cards?)?(?:\.|{_OUTCOMES})"
)
_NEWEST = r"The newest of them that was decided, {} days before it, turned out to be (?P<label>fraud|genuine)\."
_GRAMMAR: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(form), reader)
    for form, reader in (
        (_FLAG, _flagged),
        (rf"The fraud model's score of {_ID} is (?P<score>[01]\.\d+); 0 is usual, 1 is almost surely fraud\.", _score),
        (r"What raised the score most: (?P<drivers>.*)\.", _drivers),
        (rf"{_MADE} no other payment\.", _card_alone),
        (rf"{_MADE} {_n('count')} other payments? of {_MONEY} on average\.", _card),
        (rf"The {_MONEY} of {_ID} is {_n('times')} times that average\.", _times),
        (rf"The highest of the [\d,]+ other payments? on record from those days was {_MONEY}\.", _highest),
        (rf"Within an hour of {_ID} the card made {_n('hour')} other payments?, within a day {_n('day')}\.", _around),
        (rf"{_BEFORE} other transactions? of the card (?:was|were) flagged(?:\.|{_OUTCOMES})", _card_flags),
        (rf"In the 28 days up to transaction {_ID}, terminal {_ANY} {_KNOWN}", _terminal),
        (rf"In the last 7 of those days it {_KNOWN}", _terminal_lately),
        (_AT_TERMINAL, _terminal_flags),
        (_NEWEST.format(_n("days")), _newest),
        (_CLOSED, _past_cases),
        (rf"{_n('count')} other cases? of the customer (?:is|are) open\.", _open_cases),
    )
)
