"""What a change is made to wait for, by its grammar: "if it happens again, block it", "only once I tell you".

Whoever says so asks for nothing yet. No conditions are those of politeness ("if it isn't too much trouble"), those that
hold or do not as things stand ("if it is still active"), and what has happened ("when I got home it was gone").
"""

import re

from local.models.bans import CHANGE, any_of

_FLAGS = re.IGNORECASE | re.VERBOSE

_POLITE = re.compile(
    rf"""\W*\b(?: if \s+ (?: (?:at\s+all\s+)?possible | i \s+ may | need \s+ be
      | (?:you|u) \s+ {any_of("please don't_mind do_not_mind wouldn't_mind would_not_mind can will")}(?=\W|$)
      | {any_of("it that this")} (?:'s|\s+is|\s+isn't|\s+wouldn't\s+be|\s+would\s+be) \s+ (?:not\s+)?
        (?:{any_of("too much no any an a at_all not all quite")}\s+)*
        {any_of("trouble bother problem inconvenience imposition hassle")}
      | {any_of("it that this")} (?:'s|\s+is) \s+ (?:all\s+|at\s+all\s+)?
        {any_of("possible ok okay alright right fine convenient")}
    ) )\b (?!\s+(?:to|for|with|that)\b)""",
    _FLAGS,
)
# "I'd be glad if", "tell me if"
_NO_CONDITION = re.compile(
    rf"""\b{
        any_of(
            '''glad grateful happy good great nice lovely kind obliged better best thankful appreciate appreciate_it
        wonder wondering know see sure ask check sorry mind care tell_me say'''
        )
    } \s+ (?:if|when|once) \b""",
    _FLAGS,
)
_SUBJECT = any_of(
    """i we he she it they you there this that these those my our his her the a an any anything anybody anyone some
    something somebody someone another one more such further nothing nobody"""
)
# "If you see another one": what the bank finds out. Else "you" stands in polite conditions.
_FINDS_OUT = any_of("see notice find detect spot get receive hear discover")
_IF = rf"if \s+ (?! so\b | not\b | (?:you|u)\b (?!\s+{_FINDS_OUT}\b))"
_FRONT = rf"""^\W* (?:{any_of("so and but or ok okay well then yes no please only just")}\W+)*"""
_OPEN = re.compile(
    rf"""{_FRONT} (?: {_IF} | {any_of("unless as_soon_as in_the_event provided depending_on")} \b
      | {any_of("should once when")} \s+ {_SUBJECT}\b )""",
    _FLAGS,
)
_BEHIND = re.compile(
    rf"""\b{CHANGE} \b .* \b(?P<condition> only \s+ {any_of("if when once after")}
      | {any_of("unless as_soon_as provided")}
      | (?:if|once|when) \s+ (?!it\b|you\b) {_SUBJECT} )\b""",
    _FLAGS,
)
# "Before you block it I want to ask him"
_FIRST = re.compile(rf"^(?:(?!\b{CHANGE}).)* \b before \s+ (?:i|we|you) \s+ (?:\w+\s+)? {CHANGE}", _FLAGS)
# "If it does not turn up I'll get a new one": what follows from the condition is said.
_HAS_CONSEQUENCE = re.compile(r"\b(?:i|we|he|she|they|it)(?:['\u2019]ll|\s+will|\s+shall)\b", re.IGNORECASE)
_ONLY_IF = re.compile(rf"{_FRONT} (?<=only\s) {any_of('if when once after')} \b", _FLAGS)
# As things were, and as they stand.
_PAST = re.compile(
    rf"""\b(?: {any_of("was were had did got came went left lost stolen stole took taken")}
      | {any_of("found made paid saw been")}
      | (?!{any_of("need indeed speed feed exceed proceed succeed unauthorised unauthorized")}\b) [a-z]{{2,}}ed )\b""",
    _FLAGS,
)
_BY_NOW = re.compile(r"\b(?:still|already|yet|too\s+late)\b", re.IGNORECASE)
_IS_PRESENT = re.compile(r"\b(?:have|has|am|is|are|does|do|don't)\b", re.IGNORECASE)


def without_polite_conditions(text: str) -> str:
    """``text`` without "if you don't mind" and its like."""
    return _POLITE.sub("", text)


def is_condition(text: str) -> bool:
    """Whether ``text`` begins with what something is made to wait for: "once I have talked to her"."""
    text = _without_no_conditions(text)
    return _OPEN.match(text) is not None and not _has_happened(text)


def waits_for_something(text: str) -> bool:
    """Whether the change that ``text`` speaks of is not to be made before something comes about."""
    text = _without_no_conditions(text)
    behind = _BEHIND.search(text)
    if behind and not _has_happened(text[behind.start("condition") :]):
        return True
    return is_condition(text) or any(one.match(text) for one in (_ONLY_IF, _FIRST))


def is_open_condition(text: str) -> bool:
    """Whether ``text`` is a condition and nothing more: what follows from it is yet to be said."""
    is_ended = text.rstrip()[-1] in ".!?;" or "," in text[:-1]
    return is_condition(text) and not is_ended and not _HAS_CONSEQUENCE.search(text)


def _without_no_conditions(text: str) -> str:
    return _NO_CONDITION.sub(" ", without_polite_conditions(text))


def _has_happened(text: str) -> bool:
    """Whether the condition with which ``text`` begins holds or does not by now."""
    condition = text.split(",", maxsplit=1)[0]
    is_past = _PAST.search(condition) is not None and not _IS_PRESENT.search(condition)
    return is_past or _BY_NOW.search(condition) is not None
