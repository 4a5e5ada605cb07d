"""Changes that are told and not asked for, by whose they are and when: by others, elsewhere, already, later, perhaps.

"My lawyer will open a case himself", "I have already asked the hotline to block it", "thanks for stopping it so fast",
"we might have to block it one day".
"""

import re

from local.models.bans import CHANGE, any_of

_FLAGS = re.IGNORECASE | re.VERBOSE

_DONE = any_of(
    """blocked froze frozen locked cancelled canceled stopped disabled deactivated closed opened raised filed reported
    escalated disputed sent submitted lodged"""
)
_ELSEWHERE = rf"""{any_of("to with at via in through on by over")} \s+ (?:{any_of("the your my our")}\s+)?
    {any_of("police app hotline branch shop phone seller merchant website colleague insurance counter call_centre")}"""
_ASKED = any_of("asked told instructed got informed phoned called had")
_OTHERS = rf"""(?: {any_of("he she they somebody someone")}
    | {any_of("my our the your")} \s+ (?!cards?\b|bank\s+(?:will|shall)\b) (?:[a-z'-]+\s+){{1,3}}? )"""
_TOLD = re.compile(
    rf"""
      # gratitude for what was done
      \b{any_of("thanks thank_you thank_goodness thx ty cheers bless_you grateful appreciate kudos well_done")}
      \b (?!\s+in\s+advance)
      (?:(?!\bif\b)[^.;]){{0,40}}? \b(?:for|that\s+you) \s+ (?:[\w']+\s+){{0,4}}? {CHANGE}
    # done by now, or elsewhere
    | \balready \s+ (?:\w+\s+)? {_DONE}\b | \b{_DONE} \b [^.;]* \b(?:already \W* $ | {_ELSEWHERE}\b)
    | \b(?:i|we) (?:'ve|\s+have)? \s+ (?:(?:just|already|also)\s+)? {_ASKED} \s+
      {any_of("the my our your them him her")}
      \b [^.;]* \bto \s+ {CHANGE}
    # by others, or at another time
    | (?:^|[,.;]\s*|\b(?:and|but|so)\s+) {_OTHERS} \s* {any_of("will shall 'll are_going_to is_going_to")} \s+
      (?:\w+\s+)? {CHANGE}
    | \b{any_of("i we you")} (?:'d|\s+would) \s+ (?:\w+\s+)? have \s+ to \s+ (?!ask\b) [^.;]* {CHANGE}
    | \b{any_of("i we you")} \s+ {any_of("may might")} \s+ (?:\w+\s+)?
      {any_of("have need want ask instruct decide")} \b [^.;]* {CHANGE}
    | \b(?:i|we) (?:'ll|\s+will|\s+shall)? \s+ {any_of("probably perhaps maybe possibly eventually")} \b [^.;]* {CHANGE}
    | \b{any_of("said says promised promises assured")} \b [^.;]* \b{any_of("they he she")}
      (?:'ll|'d|\s+will|\s+would) \s+ (?:\w+\s+)? {CHANGE}
    | \b{any_of("i we")} (?:'ll|\s+will|'d\s+rather|\s+would\s+rather) \s+ wait\b (?!\s+for\s+you)
    | \b{any_of("each every last first")} \s+ time \b [^.;]* \b{CHANGE}
    | {CHANGE} \b [^.;]* \bas \s+ a \s+ last \s+ resort\b
    | {CHANGE} \b [^.;]* (?<!by\s)(?<!until\s)(?<!before\s)
      \b{any_of("later one_day some_day someday in_due_course next_(?:week|month|year) at_a_later_(?:date|time|stage)")}
      \W* $
    """,
    _FLAGS,
)
_ASKS = re.compile(
    r"\b(?:please|pls|plz|can\s+you|could\s+you|would\s+you|i\s+want|i\s+need|i'd\s+like|lost|stolen|stole|gone|robbed)\b",
    re.IGNORECASE,
)
_IS_LATER = re.compile(
    r"\b(?:later|one day|probably|may|might|perhaps|maybe|thank|thanks|thx|appreciate)\b", re.IGNORECASE
)


def is_told(clause: str) -> bool:
    """Whether the change that ``clause`` speaks of is somebody else's, has been made, or is put off."""
    return _TOLD.search(clause) is not None and (_ASKS.search(clause) is None or _IS_LATER.search(clause) is not None)
