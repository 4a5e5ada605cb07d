"""Requests that a bank's assistant declines, by their grammar: its rules overridden, somebody else's affairs.

What keeps a customer's data from others is not here: the tools know whose session it is and a change waits for a yes.
This lets the local models decline in words, at once, instead of letting a tool refuse or a small model be talked round.
English only, and wordings that are not foreseen get through to where the protection is.
"""

import re

from local.models.conversation_ids import ids_in_text

_FLAGS = re.IGNORECASE | re.VERBOSE
_LONGEST_PIECE = 500  # characters

_RULES = r"(?:instruction|rule|guideline|prompt|polic|restriction|safeguard|security|guardrail|limitation)\w*"
_APPROVAL = r"(?:approv|confirm|authori[sz]|verif)\w*"
_CHIEF = r"(?:admin\w*|analyst|manager|supervisor|director|boss|officer|developer|engineer|auditor|superuser|operator)"
_OVERRIDING = re.compile(
    rf"""
      \b(?:ignore|disregard|forget|override|bypass|circumvent|overwrite)\s+(?:\w+\s+){{0,4}}(?:{_RULES}|{_APPROVAL})
    | \b(?:ignore|disregard|forget)\s+(?:\w+\s+){{0,3}}(?:above|everything)
    # the prompt, and who speaks in it
    | \b(?:system|hidden|secret|internal)\s+(?:prompt|message|instruction|rule|config)
    | \byour\s+(?:\w+\s+)?(?:instructions|prompt|guidelines|configuration|source\s+code)\b
    | \b(?:previous|above|prior|earlier)\s+(?:instructions|rules|prompt)\b
    | \b(?:repeat|print|output)\s+(?:\w+\s+){{0,3}}above\b
    | ^\W*(?:system|assistant|developer|admin|tool|instructions?)\s*[:>\]]
    | </?(?:system|assistant|user|tool\w*|instructions?|prompt)\b | <\| | \[/?inst\]
    # another part to play
    | \byou\s+are\s+(?:now|no\s+longer)\b | \bfrom\s+now\s+on\s*,?\s+you\b | \bdo\s+anything\s+now\b
    | (?:^|[.!?;,]\s*|\b(?:please|you|now|and|then|to)\s+)(?:act\s+(?:as|like)|pretend|role-?\s?play|simulate)\b
    | \b(?:developer|debug|admin|god|root|maintenance|unrestricted|dan)\s+mode\b | \bjailbreak | \bsudo\b
    | \bnew\s+(?:instructions?|rules?)\s*:
    # the yes that a change needs
    | \b(?:skip|skipping|no\s+need\s+(?:for|to)|avoid)\s+(?:\w+\s+){{0,4}}(?:{_APPROVAL}|ask\b)
    | ^(?!.*\b(?:charged|paid|made|used|taken|took|debited|with?drawn|withdrew|bought|booked)\b)
      .*\bwithout\s+(?:\w+\s+){{0,4}}(?:{_APPROVAL}|asking|checking)
    | \b(?:do\s+not|don['\u2019]?t|never)\s+(?:bother\s+)?ask\w*\s+(?:\w+\s+){{0,2}}
      (?:(?:to|for)\s+(?:\w+\s+)?(?:{_APPROVAL}|yes\b|permission) | again\b | first\b)
    | \b(?:approve|authori[sz]e)\s+(?:it|this|that|the\s+\w+|everything|them)\s+(?:yourself|for\s+me|on\s+my\s+behalf)
    | \b(?:approved|authori[sz]ed|confirmed)\s+by\s+(?:the|my|an?|your)\s+{_CHIEF}\b
    | \b(?:raise|lift|remove|increase|disable|change|set)\s+(?:the|your|my|any)\s+(?:approval|confirmation|safety)\b
    # the machinery
    | \bselect\s+[\w*,\s]+\s+from\s+\w+ | \b(?:drop|truncate)\s+table\b
    | \b(?:call|run|use)\s+(?:the\s+)?(?:tool|function)\b
    | \b(?:list_cards|list_transactions|explain_flag|search_documents|open_case|block_card)\b
    """,
    _FLAGS,
)

_RELATIVE = r"""(?:neighbou?r|wife|husband|spouse|partner|girlfriend|boyfriend|ex|colleague|co-?worker|boss
    |friend|brother|sister|mother|father|mum|mom|dad|son|daughter|uncle|aunt|cousin|grandmother|grandfather|parents?|roommate|flatmate|ceo|president)"""
_SOMEBODY = rf"(?:(?:my|his|her|their|our|the)\s+(?:ex-?\s?|former\s+)?{_RELATIVE}s?)"
_CUSTOMERS = r"(?:customer|client|user|account\s+holder|cardholder)s?"
_STRANGERS = rf"""(?:(?:an)?other\s+{_CUSTOMERS} | different\s+{_CUSTOMERS}
    | (?:all|every)\s+(?:of\s+)?(?:the\s+|your\s+|other\s+)?{_CUSTOMERS}
    | (?:some(?:one|body)|other\s+people|every(?:one|body)|any(?:one|body))(?:\s+else)?['\u2019]s)"""
_AFFAIRS = r"""(?:card|transaction|payment|purchase|spending|account|data|detail|document|contract|file|statement
    |balance|case|record|history)s?"""
_NAME = r"""(?-i:\b(?!(?:What|Where|Who|It|That|Here|There|Let|Today|Yesterday|\w+day|January|February|March|April|May
    |June|July|August|September|October|November|December)\b)[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)"""
_MONEY_AFFAIRS = r"(?:cards?|card\s+numbers?|transactions?|payments?|purchases?|spending|accounts?|balance|data)"
_DEEDS = r"(?:spend|spent|bought|buy|paid|pay)"
_CLAIMED = rf"(?:{_CHIEF}|employee|police\w*|root|tester|investigator|owner\s+of\s+(?:the\s+)?bank|ceo)"
_OF_OTHERS = re.compile(
    rf"""
      \b{_STRANGERS}(?!\w)
    | \b{_SOMEBODY}(?:['\u2019]s?)\s+(?:\w+\s+){{0,2}}{_AFFAIRS}\b | \b{_SOMEBODY}\s+{_AFFAIRS}\b
    | \b{_AFFAIRS}\s+(?:\w+\s+){{0,2}}(?:of|belonging\s+to|owned\s+by|made\s+by)\s+{_SOMEBODY}\b
    | ^(?!.*\bmy\s+(?:\w+\s+)?{_AFFAIRS})
      .*\b(?:what|which|where|when|how\s+much|did|does|has|have)\b.*\b{_SOMEBODY}\b.*\b(?:{_AFFAIRS}|{_DEEDS})\b
    | {_NAME}['\u2019]s\s+{_MONEY_AFFAIRS}\b | \b{_MONEY_AFFAIRS}\s+of\s+{_NAME}\b
    | \b(?:what|where|when|which|how\s+much|how\s+many|did|has)\s+(?:\w+\s+){{0,2}}{_NAME}\s+(?:has\s+|had\s+)?
      (?:spen[dt]|spends|bought|buys?|purchased?)\b
    | \b(?:belong\w*\s+to|owned\s+by)\s+(?:{_SOMEBODY}|some(?:one|body)\s+else|another)\b
    | \b(?:what|which|how\s+many)\s+{_AFFAIRS}\b.*\b{_SOMEBODY}\b
    | \b(?:his|her)\s+(?:\w+\s+)?{_AFFAIRS}\b | \btheir\s+(?:\w+\s+)?(?:card|transaction|payment|account|balance)s?\b
    | \b(?:all|every|any)\s+(?:the\s+)?{_AFFAIRS}\s+(?:in|of|at|from)\s+(?:the|this|your)\s+(?:bank|system|database)\b
    | \b(?:entire|whole|customer)\s+database\b
    # somebody else's part
    | \b(?:switch|change|set|log\s*in|sign\s*in|impersonat\w*)\s+(?:\w+\s+){{0,4}}
      (?:customer|session|identity|{_CHIEF})\b
    | \b(?:i\s+am|i['\u2019]m)\s+(?:actually\s+|really\s+|now\s+)?
      (?:an?|the|your)\s+(?:\w+['\u2019]?\w*\s+){{0,2}}{_CLAIMED}\b
    | \b(?:as|this\s+is)\s+(?:an?|the|your)\s+(?:bank\s+|system\s+)?(?:admin\w*|analyst|developer|superuser|auditor)\b
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
    return any(_OF_OTHERS.search(piece) for piece in _pieces(text))


def _pieces(text: str) -> list[str]:
    """The sentences of ``text``, cut where they are too long to be searched for every pair of their words."""
    return re.findall(rf"[^.!?\n]{{1,{_LONGEST_PIECE}}}[.!?]*", text)
