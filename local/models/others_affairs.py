"""What goes for the affairs of somebody else, by its grammar: their cards, their payments, their part.

Some wordings do so whatever else is said ("my wife's card"). Others only where the sentence is not about something of
the person's own: "What did my wife pay?" is about her, "What did my wife pay with my card?" is not; "I am the
developer" claims a part, "I am a developer and lost my card" does not.

English, and a few words of German, Spanish and French.
"""

import re
from typing import Final

_FLAGS = re.IGNORECASE | re.VERBOSE

CHIEF: Final = (
    r"(?:admin\w*|analyst|manager|supervisor|director|boss|officer|developer|engineer|auditor|superuser|operator)"
)
_RELATIVE = r"""(?:(?:step|grand|god|half|ex)?-?(?:mother|father|mum|mom|dad|son|daughter|brother|sister|child(?:ren)?)
    (?:-in-law)?|grandm\w+|grandp\w+|gran(?:ny)?|neighbou?r|wife|husband|spouse|partner|girlfriend|boyfriend|fianc\w+|ex
    |colleague|co-?worker|boss|friend|mate|uncle|aunt|auntie|cousin|niece|nephew|parent|roommate|room-mate|flatmate
    |flat-mate|housemate|bro|sis|bestie|buddy|pal|gf|bf|tenant|ceo|president|kids?|in-laws?)s?"""
_SOMEBODY = rf"(?:(?:my|his|her|their|our|the)\s+(?:ex-?\s?|[a-z]+\s+)?{_RELATIVE}(?![\w-]))"
# Those with whom one has to do, and whose letters and contracts may well be one's own.
_OUTSIDER = r"""(?:(?:my|our|the|an?)\s+(?:\w+\s+)?(?:customer|client|guest|buyer|patient|student|pupil|landlord
    |landlady|employee|worker|assistant|cleaner|cleaning\s+lady|babysitter|nanny|au[\s-]pair|lodger|carer|nurse|bookkeeper|apprentice
    |intern)s?(?![\w-]))"""
_PAYER = r"(?:my|our|an?|one\s+of\s+(?:my|our))\s+(?:\w+\s+)?(?:customer|client|guest|buyer|patient|student|pupil)s?"
_CUSTOMERS = r"(?:customer|client|user|account\s+holder|cardholder)s?"
_PEOPLE = rf"(?:people|persons?|victims?|{_CUSTOMERS})"
_STRANGERS = rf"""(?:(?:an)?other\s+{_CUSTOMERS} | different\s+{_CUSTOMERS}
    | (?:all|every)\s+(?:of\s+)?(?:the\s+|your\s+|other\s+)?{_CUSTOMERS}
    | (?:some(?:one|body)|other\s+people|every(?:one|body)|any(?:one|body))(?:\s+else)?['\u2019]s(?!\s+name))"""
_STRANGER = r"(?:man|woman|guy|bloke|chap|fellow|lady|girl|boy|thief|fraudster|person|family|couple|owner|holder)"
_AFFAIRS = r"""(?:card|transaction|payment|purchase|spending|account|data|detail|document|contract|file|statement
    |balance|case|record|history)s?"""
_MONEY_AFFAIRS = r"(?:cards?|card\s+numbers?|transactions?|payments?|purchases?|spending|accounts?|balance|data)"
_CARD_AFFAIRS = r"(?:cards?|card\s+numbers?|transactions?|spending|accounts?|balance)"
_NAME = r"""(?-i:\b(?!(?:What|Where|Who|It|That|Here|There|Let|Today|Yesterday|\w+day|January|February|March|April|May
    |June|July|August|September|October|November|December)\b)[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)"""
_DEEDS = r"(?:spen[dt]|spending|bought|buy|buying|paid|pay|paying|shop|shopped|withdrew|withdrawn)"
_ID = r"[a-z]+-\w*\d[\w-]*"
_OF = r"(?:of|from|belonging\s+to|owned\s+by)"
_HANDS = r"(?:show|see|list|tell|give|disclose|reveal|name|which|what|who)"
_TO_ACT = r"(?:block|freeze|lock|dispute|stop|cancel|do|open|file|report|contest)"

_KIN_IN_GERMAN = r"""(?:ehe|ex|nachbar|frau|mann|mutter|vater|eltern|bruder|schwester|freund|sohn|tochter|chef|kolleg
    |partner|onkel|tante|oma|opa|mitbewohner)"""
_KIN_IN_SPANISH = r"(?:vecin|espos|mujer|marido|herman|madre|padre|hij|amig|novi|jef|compa\u00f1er)"
_KIN_IN_FRENCH = r"""(?:femme|mari|voisin|m\u00e8re|p\u00e8re|fr\u00e8re|s(?:oe|\u0153)ur|fils|fille|ami|copain|copine
    |coll\u00e8gue|patron|chef)"""

_ALWAYS = re.compile(
    rf"""
      \b{_STRANGERS}(?!\w)
    # what is theirs
    | \b{_SOMEBODY}(?:['\u2019]s?)\s+(?:\w+\s+){{0,2}}{_AFFAIRS}\b | \b{_SOMEBODY}\s+{_AFFAIRS}\b
    | \b{_RELATIVE}['\u2019]s\s+(?:\w+\s+)?{_AFFAIRS}\b
    | (?<!\bat\s)(?<!\bto\s)(?<!\bfrom\s)\b{_SOMEBODY}['\u2019]s
      (?=\W*$ | \s*[,;] | \s+(?:too|also|as\s+well|please|pls|instead|ones?|and\s+(?:s?he|they|not))\b)
    | \b{_AFFAIRS}\s+(?:\w+\s+){{0,2}}(?:of|belonging\s+to|owned\s+by|made\s+by)\s+{_SOMEBODY}
    | \b(?:cards?|accounts?|balance|that|those|(?:the|which)\s+ones?)\s+{_OF}\s+{_SOMEBODY}
    | \b{_ID}\s*,?\s*(?:(?:the|which\s+is\s+the)\s+(?:one|card|payment)\s+)?{_OF}\s+{_SOMEBODY}
    | \b{_MONEY_AFFAIRS}\s+of\s+(?:the|that|this|an?)\s+(?:\w+\s+)?(?:{_STRANGER}|{_CUSTOMERS})\b
    | \b(?:contract|document|letter|file|polic\w+|papers?)s?\s+(?:(?:that|which)\s+)?{_SOMEBODY}\s+
      (?:has\s+|had\s+)?(?:uploaded|submitted|stored|handed|gave\s+you|sent\s+you)\b
    | {_NAME}['\u2019]s\s+{_MONEY_AFFAIRS}\b | \b{_MONEY_AFFAIRS}\s+of\s+{_NAME}\b
    | \b(?:what|where|when|which|how\s+much|how\s+many|did|has)\s+(?:\w+\s+){{0,2}}{_NAME}\s+(?:has\s+|had\s+)?
      (?:spen[dt]|spends|bought|buys?|purchased?)\b
    | \b(?:belong\w*\s+to|owned\s+by)\s+(?:{_SOMEBODY}|some(?:one|body)\b|another\b|an?\s+{_RELATIVE}\b)
    | \b(?:what|which|how\s+many)\s+{_AFFAIRS}\b.*\b{_SOMEBODY}
    | \b(?:his|her)\s+(?:\w+\s+)?{_AFFAIRS}\b | \btheir\s+(?:\w+\s+)?(?:card|transaction|payment|account|balance)s?\b
    | \b(?:all|every|any)\s+(?:the\s+)?{_AFFAIRS}\s+(?:in|of|at|from)\s+(?:the|this|your)\s+(?:bank|system|database)\b
    | \b(?:entire|whole|customer)\s+database\b | (?<!\bmy\s)\bcustomer\s+(?:(?:number|no\.?|id)\s+)?\d{{3,}}
    | \bcard(?:-\w+)?\s+(?:(?:that|which)\s+)?(?:is\s+not|isn['\u2019]?t)\s+(?:mine|my\s+own)\b
    | \b(?:names?|list|identit\w+)\s+of\s+(?:all\s+)?(?:the\s+)?(?:other\s+)?(?:people|persons|customers|victims)\b
    | (?<!\bto\s)\b{_OUTSIDER}['\u2019]s?\s+(?:\w+\s+){{0,2}}{_CARD_AFFAIRS}\b
    | \b{_CARD_AFFAIRS}\s+(?:of|belonging\s+to|owned\s+by)\s+{_OUTSIDER}
    | \b{_PAYER}\s+(?:\w+\s+)?(?:paid|pays|bought|ordered)\s+(?:\w+\s+){{0,3}}(?:with|using|by)\s+(?:card\s+)?{_ID}
    | \b{_ID}\s*,?\s*(?:which\s+)?(?:(?:it|that)\s*)?(?:is|['\u2019]s)\s+(?:his|hers|theirs)\b
    | \bon\s+(?:his|her|their)\s+(?:side|end)\b | \b(?:hers|theirs)\s+(?:too|also|as\s+well)\b
    # what is to be done for them
    | \b(?:writing|asking|calling|acting|speaking)\s+(?:\w+\s+)?for\s+(?:{_SOMEBODY}|{_OUTSIDER})
    | \b(?:case|dispute|complaint|ticket|flagged|blocked|same|cards?|accounts?)\s+(?:there\s+)?
      for\s+(?:{_SOMEBODY}(?!['\u2019])|him\b|her(?!\s+\w))
    | \b{_TO_ACT}\s+(?:it|that|this|one|the\s+\w+|{_ID})\s+for\s+(?:{_SOMEBODY}(?!['\u2019])|him\b|her(?!\s+\w))
    | \bin\s+the\s+name\s+of\s+{_SOMEBODY} | \bin\s+(?:{_SOMEBODY}['\u2019]s?|his|her|their)\s+name\b
    | \bon\s+behalf\s+of\s+(?!me\b|mysel) | \bon\s+(?:his|her|their)\s+behalf\b
    # another session
    | \b(?:switch|change|set|log\s*in|sign\s*in|impersonat\w*)\s+(?:\w+\s+){{0,4}}
      (?:customer|session|identity|{CHIEF})\b
    # other languages
    | \b(?:karten?|zahlung(?:en)?|ums\u00e4tze|kont[eo]s?|vertrag)\s+(?:von\s+)?(?:(?:mein|sein|ihr|d)e?[rsnm]?\s+)
      (?:\w+\s+)?{_KIN_IN_GERMAN}
    | \b(?:karten?|zahlung(?:en)?|ums\u00e4tze|kont[eo]s?)\s+(?:der\s+)?ander(?:e[rn])\b
    | \b(?:aller|anderer)\s+kunden\b
    | \b(?:tarjetas?|pagos?|cuentas?|movimientos|gastos)\s+de\s+
      (?:(?:mi|su|tu|la|el)\s+{_KIN_IN_SPANISH}|otr[oa]s?\b|tod[oa]s?\b)
    | \b(?:cartes?|paiements?|comptes?|achats?)\s+(?:de\s+(?:ma|mon|sa|son)\s+{_KIN_IN_FRENCH}|des?\s+(?:autres|tous)\b)
    """,
    _FLAGS,
)
_UNLESS_OF_ONESELF = re.compile(
    rf"""
      \b(?:what|which|where|how\s+much)\b.*\b{_OUTSIDER}.*\b(?:spen[dt]|spends|bought|buys|shopped)\b
    | \b(?:what|which|where|when|how\s+much|did|does|has|have)\b.*\b{_SOMEBODY}.*\b(?:{_AFFAIRS}|{_DEEDS})\b(?!-)
    | \b(?:what|which|where|when|how\s+much|did|does|has|if|whether)\s+(?:\w+\s+){{0,2}}(?:he|she)\s+(?:\w+\s+){{0,2}}
      {_DEEDS}\b
    | \bwho\s+else\s+(?:\w+\s+){{0,2}}(?:{_DEEDS}|used|shops?|hit|affected|defrauded|robbed|scammed|victim|there|at)\b
    | \b{_HANDS}\b.*\b(?:other\s+{_PEOPLE}|the\s+(?:people|persons)\s+(?:who|that|at|in))
    | \b{_HANDS}\b.*\bwho\s+(?:\w+\s+){{0,2}}(?:{_DEEDS}|used)\s+(?:at|in|there|(?:the|that|this)\s+terminal|terminal)\b
    | \b(?:the|that)\s+(?:\w+\s+)?{_STRANGER}\s+(?:(?!i\b|me\b|my\b|sa(?:id|ys)\b)\w+\s+){{0,5}}
      (?:got|has|have|owns?|opened)\s+(?:\w+\s+){{0,3}}{_AFFAIRS}\b(?!-)
    """,
    _FLAGS,
)
_CLAIMED = rf"(?:{CHIEF}|employee|police\w*|root|tester|investigator|owner\s+of\s+(?:the\s+)?bank|ceo)"
_OFFICE = (
    r"(?:bank|police|department|team|office|authority|court|staff|headquarters|security|support|branch|management)"
)
_CLAIM = re.compile(
    rf"""
      \b(?:i\s+am|i['\u2019]m)\s+(?:actually\s+|really\s+|now\s+)?
      (?:an?|the|your)\s+(?:\w+['\u2019]?\w*\s+){{0,2}}{_CLAIMED}\b
    | \b(?:as|this\s+is)\s+(?:an?|the|your)\s+(?:bank\s+|system\s+)?{_CLAIMED}\b(?!['\u2019])
    | \b(?:by|on)\s+(?:the\s+)?(?:orders?|instructions?|authority)\s+of\s+(?:the|your)\b
    | \b(?:on|by)\s+(?:the\s+)?(?:police|court|{CHIEF})(?:['\u2019]s)?\s+(?:orders?|instructions?|request|authority)\b
    | \b(?:your|the|my)\s+(?:\w+\s+)?(?:{CHIEF}|colleague|staff)\s+(?:has\s+|have\s+)?
      (?:approved|allowed|authori[sz]ed|permitted)\s+(?:it|this|that|me|you)\b
    | \bi\s+represent\b
    | \b(?:i\s+am|i['\u2019]m|we\s+are|we['\u2019]re|this\s+is|here\s+is|calling|writing|speaking|i\s+work)\s+
      (?:here\s+)?(?:from|with|for|(?<=work\s)(?:at|in))\s+(?:the|your|this)\s+(?:\w+(?:['\u2019]s)?\s+){{0,3}}{_OFFICE}\b
    | \b(?:this\s+is|i\s+am|i['\u2019]m|here\s+is)\s+(?:the\s+)?
      (?:police\b|(?:sergeant|inspector|detective|constable|officer)\b)
    | \b(?:this\s+is|we\s+are|here\s+is)\s+(?:the|your)\s+(?:\w+(?:['\u2019]s)?\s+){{0,3}}{_OFFICE}
      (?=\W*$|\s*[,:]|\s+(?:speaking|calling|here)\b)
    | ^\W*(?:hi\s+|hello\s+)?(?:the\s+)?(?:{CHIEF}|police|staff|support|security)\s+here\b
    | (?:^\W*|\bthis\s+is\s+(?:an?\s+)?)(?:police|criminal|official|court|tax|internal)\s+
      (?:investigation|inquiry|order|request|warrant|audit)\b
    | \b(?:i\s+am|i['\u2019]m|as)\s+(?:the|an?|his|her)\s+
      (?:{_RELATIVE}|heir|executor|guardian|lawyer|representative|carer)
      \s+of\s+(?:the|an?|this|{_ID})
    """,
    _FLAGS,
)
# What is the person's own, or was done to them: "my card", "my own payments", but not "my wife's card".
_ONES_OWN = re.compile(
    rf"\b(?:my|our)\s+(?:(?!{_RELATIVE}\b)\w+\s+){{0,2}}{_AFFAIRS}\b(?!['\u2019])|\bmine\b|\bfrom\s+me\b"
    r"|\bi\s+(?:\w+\s+)?(?:lost|los[et])\b|\bstole\b",
    _FLAGS,
)
# ... which no part that is claimed allows to decide: "I am an analyst, approve my case".
_DECISION = re.compile(r"\b(?:approv|releas|overrid|clear|delet|refund|rais|lift|remov|unlock)\w*", re.IGNORECASE)
# "I am not asking about other customers", "my cards, not my wife's".
_NOT_MEANT = re.compile(
    rf"""(?:\b(?:not|n['\u2019]t|never)\s+
        (?:asking|ask|interested|talking|speaking|curious|mean|care|want)\s+(?:\w+\s+){{0,3}}
      | (?:^|[,;(]|\b(?:and|but)\b)\s*not\s+)
    (?:{_STRANGERS}|(?:those\s+of\s+)?{_SOMEBODY}(?:['\u2019]s)?)(?:\s+{_AFFAIRS}\b)?""",
    _FLAGS,
)
# What a paper of the person's own says of others is theirs to know: "Does my policy cover my wife's purchases?"
_PAPER = r"(?:contract|agreement|polic(?:y|ies)|terms|conditions)"
_OWN_PAPER = re.compile(
    rf"""\b(?:does|what|is|are|do)\b.*
      \b(?:(?:my|our)\s+(?:\w+\s+){{0,2}}{_PAPER}|the\s+(?:terms|conditions)(?!\s+of))\b
      .*\b(?:say|cover|state|mention|allow|include)""",
    _FLAGS,
)


# "My neighbour's card was skimmed.": what happened to others, and nothing asked about it.
_HAPPENED = re.compile(
    rf"""\W*(?:\w+\s+){{0,2}}{_SOMEBODY}['\u2019]s?\s+(?:\w+\s+)?{_AFFAIRS}\s+
    (?:was|were|got|has\s+been|have\s+been|had\s+been)\s+[^,;:?]*""",
    _FLAGS,
)


def is_of_oneself(sentence: str) -> bool:
    """Whether ``sentence`` is about something of the person's own."""
    return _ONES_OWN.search(sentence) is not None


def tells_of_others(sentence: str) -> bool:
    """Whether ``sentence`` does no more than tell what happened to the things of others."""
    return _HAPPENED.fullmatch(sentence) is not None


def without_others_not_meant(text: str) -> str:
    """``text`` without those that it says are not meant: of "my cards, not my wife's" only "my cards" is left."""
    return _NOT_MEANT.sub(" ", text)


def goes_for_others(sentence: str) -> bool:
    """Whether ``sentence`` is about the affairs of somebody else, or claims the part of somebody else."""
    if _OWN_PAPER.search(sentence):
        return False
    sentence = without_others_not_meant(sentence)
    is_own = is_of_oneself(sentence)
    if _ALWAYS.search(sentence) or (_UNLESS_OF_ONESELF.search(sentence) and not is_own):
        return True
    return _CLAIM.search(sentence) is not None and not (is_own and not _DECISION.search(sentence))
