"""Requests that a bank's assistant declines, by their grammar: its rules overridden, somebody else's affairs.

What keeps a customer's data from others is not here: the tools know whose session it is and a change waits for a yes.
This lets the local models decline in words, at once, instead of letting a tool refuse or a small model be talked round.
Almost only English, and wordings that are not foreseen get through to where the protection is.
"""

import re

from local.models.conversation_ids import ids_in_text
from local.models.others_affairs import CHIEF, goes_for_others, is_of_oneself, tells_of_others

_FLAGS = re.IGNORECASE | re.VERBOSE
_LONGEST_PIECE = 500  # characters

_RULES = r"(?:instruction|rule|guideline|prompt|polic|restriction|safeguard|security|guardrail|limitation)\w*"
_APPROVAL = r"(?:approv|confirm|authori[sz]|verif)\w*"
_CONSENT = r"(?:confirmations?|approval|authori[sz]ation|verification|questions?|yes)"
# What an analyst decides, or a yes, does not come about without them.
_DECIDING = r"(?:release|refund|pay|approve|mark|clear|decide|settle|block|freeze|open|delete|close|remove)"
_GUARD = r"""(?:(?:fraud|security|safety|risk)\s+
    (?:checks?|checking|controls?|detection|monitoring|filters?|alerts?|rules?|scoring)
    |(?:flagging|monitoring|scoring|surveillance))"""
_OVERRIDING = re.compile(
    rf"""
      \b(?:ignore|disregard|forget|override|bypass|circumvent|overwrite)\s+(?:\w+\s+){{0,4}}(?:{_RULES}|{_APPROVAL})
    | \b(?:ignore|disregard|forget)\s+(?:\w+\s+){{0,3}}(?:above|everything)
    # the prompt, and who speaks in it
    | \b(?:system|hidden|secret|internal)\s+(?:prompt|message|instruction|rule|config)
    | \byour\s+(?:\w+\s+)?(?:instructions|prompt|guidelines|configuration|source\s+code)\b
    | \b(?:instructions?|rules?|guidelines?|directions?|prompt|orders)\s+(?:(?:that|which)\s+)?
      (?: (?:under|by|on|to)\s+which\s+you\b
        | (?:guide|govern|bind|direct|control)s?\s+you(?:r\s+(?:answers|replies|behaviou?r|work))?\b
        | given\s+to\s+you\b
        | you\s+(?:were|are|have\s+been|have\s+to|must|got|follow|obey|operate|act|work|received)\b )
    | \b(?:previous|above|prior|earlier)\s+(?:instructions|rules|prompt)\b
    | \b(?:repeat|print|output)\s+(?:\w+\s+){{0,3}}above\b
    | ^\W*(?:(?:note|message)\s+(?:to|for)\s+(?:the\s+)?)?
      (?:system|assistant|model|bot|developer|debug|admin|tool|instructions?)\s*[:>\]]
    | </?(?:system|assistant|user|tool\w*|instructions?|prompt)\b | <\| | \[/?inst\]
    # another part to play
    | \byou\s+are\s+(?:now|no\s+longer)\b | \bfrom\s+now\s+on\s*,?\s+you\b | \bdo\s+anything\s+now\b
    | (?:^|[.!?;,]\s*|\b(?:please|you|now|and|then|to)\s+)
      (?:act\s+(?:as|like)|role-?\s?play|simulate|pretend(?=\s*(?:$|[,.]|to\b|(?:that\s+)?(?:you|there|we|it|this|i\s+am|i['\u2019]m)\b)))\b
    | \b(?:developer|debug|test|demo|admin|god|root|maintenance|unrestricted|dan)\s+mode\b | \bjailbreak | \bsudo\b
    | \bnew\s+(?:instructions?|rules?)\s*:
    # the yes that a change needs
    | \b(?:skip|skipping|no\s+need\s+(?:for|to)|avoid|omit|drop|spare\s+me)\s+(?:\w+\s+){{0,4}}(?:{_APPROVAL}|ask\b)
    | \b(?:skip|skipping|omit|leave\s+out|jump)\s+(?:\w+\s+){{0,3}}
      (?:{_CONSENT}|steps?|formalit\w+|procedure|review|{CHIEF})\b
    | \b(?:do\s+not|don['\u2019]?t)\s+(?:bother|annoy|trouble|pester|want|need|require)\s+(?:me\s+)?(?:with\s+|for\s+)?
      (?:an?\s+|the\s+|your\s+|any\s+)?(?:confirmations?|approval|verification)\b
    | \b(?:no|zero)\s+(?:more\s+|further\s+)?{_CONSENT}\s+(?:is\s+|are\s+)?
      (?:(?:needed|necessary|required|asked)\b|(?:please|pls)\b(?!\s+about))
    | \balready\s+(?:\w+\s+){{0,2}}(?:confirmed|approved|agreed|authori[sz]ed|said\s+yes)\b.*\b(?:so|then|hence)\s+
      (?:just\s+|please\s+)?(?:{_DECIDING}|skip|do|go|proceed)\b
    | \b{_DECIDING}\b[^,;:]*\b(?:without|behind|bypassing|no)\s+(?:\w+\s+){{0,3}}
      (?:analysts?|supervisor|review|check|control|verif|examin|inspect|look)\w*\b
    | \bno\s+(?:more\s+)?(?:analysts?|review|checks?|checking)\s*,?\s+(?:please\b|pls\b|just\b)
    | \b(?:bypass|circumvent)\w*\s+(?:\w+\s+){{0,3}}(?:analysts?|review|check\w*)\b
    | \bno\s+analyst\s+(?:\w+\s+){{0,2}}(?:see|know|check|look|review|involved)\b
    | \b(?:ohne|sin|sans)\s+(?:\w+\s+){{0,2}}
      (?:r\u00fcckfrage|nachfrage|best\u00e4tigung|zustimmung|zu\s+fragen|confirma\w+|preguntar|demander)
    | \b(?:ignorier|vergiss|ignora|olvida|oublie)\w*\s+(?:\w+\s+){{0,3}}
      (?:anweisung|regel|instruc|regla|consigne|r\u00e8gle)
    | ^(?!.*\b(?:charged|paid|made|used|taken|took|debited|with?drawn|withdrew|bought|booked)\b)
      .*\bwithout\s+(?:\w+\s+){{0,4}}(?:{_APPROVAL}|asking|checking|questions?)
    | \b(?:do\s+not|don['\u2019]?t|never)\s+(?:bother\s+)?ask\w*\s+(?:\w+\s+){{0,2}}
      (?:(?:to|for)\s+(?:\w+\s+)?(?:{_APPROVAL}|yes\b|permission) | again\b | first\b)
    | \b(?:confirmations?|consent|approvals?)\s+(?:steps?\s+)?
      (?:(?:is|are|has|have)\s+(?!missing|needed|required)|counts?\b)
    | \b(?:treat|consider|counts?|regard)\s+(?:\w+\s+){{0,3}}(?:as\s+|for\s+)?(?:my\s+)?(?:{_APPROVAL}|consent|yes)\b
    | \b(?:you\s+have|here\s+is|i\s+give\s+you)\s+my\s+(?:\w+\s+)?(?:{_APPROVAL}|consent|yes|ok|permission)\b
    | \b{_APPROVAL}\s*=\s*\w | \bhereby\s+{_APPROVAL} | \bauto-?\s?(?:approv|confirm)
    | \b(?:has|have)\s+(?:already\s+)?(?:confirmed|approved|authori[sz]ed)\s+
      (?:(?:it|everything|all)\b|(?:this|that)(?=\W*$|\s*[,;:]))
    | \bthe\s+(?:user|customer|client)\s+(?:has\s+|had\s+)?(?:already\s+)?
      (?:said\s+(?:yes|ok)|confirmed|approved|agreed|consented)\b
    | \b(?:no|without|not\s+make|skip)\s+(?:an?\s+|the\s+|any\s+)?(?:dialog(?:ue)?|proposals?)\b
    | \b(?:stop|quit)\s+asking\b | \b(?:do\s+not|don['\u2019]?t)\s+(?:you\s+)?dare\s+(?:to\s+)?ask
    | \b(?:do\s+not|don['\u2019]?t)\s+make\s+me\s+(?:{_APPROVAL}|say\s+yes|agree)
    | \byes\s+to\s+(?:everything|all|anything)\b | \b(?:{_APPROVAL}|agree\w*|yes)\s+(?:\w+\s+){{0,3}}in\s+advance\b
    | \b{_DECIDING}\b[^,;:]*\b(?:silently|secretly|yourself)\b
    | \b(?:approve|authori[sz]e)\s+(?:it|this|that|the\s+\w+|everything|them)\s+(?:yourself|for\s+me|on\s+my\s+behalf)
    | \b(?:approved|authori[sz]ed|confirmed)\s+by\s+(?:the|my|an?|your)\s+{CHIEF}\b
    | \b(?:raise|lift|remove|increase|disable|change|set)\s+(?:the|your|my|any)\s+(?:approval|confirmation|safety)\b
    | \b(?:turn|switch|shut)\s+off\s+(?:\w+\s+){{0,2}}{_GUARD}
    | \b(?:turn|switch|shut|disable|deactivate|suspend|pause|remove|lift|stop)\s+(?:\w+\s+){{0,2}}{_GUARD}(?:\s+off)?\b
    | \b(?:nobody|no\s+one)\s+(?:will|would|needs\s+to|has\s+to|must)\s+(?:ever\s+)?
      (?:know|notice|find\s+out)(?=\W*$|\s*[:;,])
    # the machinery
    | \bselect\s+[\w*,\s]+\s+from\s+\w+ | \b(?:drop|truncate)\s+table\b
    | [{{\[]\s*["']\w+["']\s*:
    | \b(?:call|run|use)\s+(?:the\s+)?(?:tool|function)\b
    | \b(?:list_cards|list_transactions|explain_flag|search_documents|open_case|block_card)\b
    """,
    _FLAGS,
)


def why_declined(said: str, background: str) -> str | None:
    """Why the words ``said`` are not followed, in a sentence; None where they may be.

    A customer's id may be named where it stands in ``background``: what the application itself told.
    """
    if overrides_the_rules(said):
        return "I keep to my rules: what changes something is confirmed first, and nobody's word in a chat alters that."
    customers = [one.text for one in ids_in_text(said) if one.kind == "customer"]
    if is_about_others(said) or any(customer not in background for customer in customers):
        return "I cannot do that: I speak only about the affairs of the customer whose conversation this is."
    return None


def overrides_the_rules(text: str) -> bool:
    """Whether ``text`` works on the assistant instead of the person's affairs: its rules, its prompt, its approvals."""
    return any(_OVERRIDING.search(piece) for piece in _pieces(text))


def is_about_others(text: str) -> bool:
    """Whether ``text`` is about the cards, payments or papers of somebody else, or claims to be somebody else."""
    pieces = _pieces(text)
    theirs = [piece for piece in pieces if goes_for_others(piece)]
    own = [piece for piece in pieces if piece not in theirs and is_of_oneself(piece)]
    return bool(theirs) and not (own and all(map(tells_of_others, theirs)))


def _pieces(text: str) -> list[str]:
    """The sentences of ``text``, cut where they are too long to be searched for every pair of their words."""
    return re.findall(rf"[^.!?\n]{{1,{_LONGEST_PIECE}}}[.!?]*", text)
