"""Reads whether a person's message says yes, says no, or says something else. Strict, and without a model.

A yes makes something happen that the person was asked about: it counts only where the whole message is one of a few
short phrases. So does a no, for what goes on after it ("no, block the other one") wants an answer of its own. Whatever
is not clearly either is an ordinary message, and nothing is done.
"""

import unicodedata
from typing import Literal

type Verdict = Literal["yes", "no", "other"]


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(phrase.split()) for phrase in text.split("|"))


_YES = _phrases(
    """
    yes | yes yes | yes do it | yes do that | yes go ahead | yes i do | yes i am sure | yes i'm sure | yes i confirm |
    yes confirm | yes block it | yes block the card | yes block my card | yes open it | yes open the case |
    yes open a case | yep | yeah | yup | y | sure | ok | okay | ok do it | okay do it | do it | go ahead | confirm |
    confirmed | i confirm | ja | ja mach das | ja machen sie das | ja mach es | jawohl | mach das | machen sie das |
    sí | sí hazlo | hazlo | oui | oui allez y | oui vas y | allez y | sì | sì fallo | sim | sim faça isso
    """
)
_NO = _phrases(
    """
    no | no no | no thanks | no thank you | no don't | no do not | no don't do it | no leave it | nope | nah | n |
    no leave it as it is | don't | don't do it | don't do that | do not | do not do it | leave it | cancel |
    leave it as it is | cancel that | stop | never mind | nevermind | not now | nein | nein danke | non | non merci |
    no gracias | no grazie | não | não obrigado | não obrigada
    """
)
_POLITE = ("please", "thanks", "thank you", "bitte", "por favor", "s'il vous plaît", "per favore")
_QUESTION_MARKS = frozenset("?\uff1f\u00bf\u061f")  # ?, full-width, Spanish, Arabic


def read_confirmation(text: str) -> Verdict:
    """The verdict on a message; capitals, punctuation and a "please" make no difference, a question mark does."""
    if _QUESTION_MARKS & set(text):
        return "other"
    words = _words(text)
    readings = {words, _without_politeness(words)}
    if readings & _NO:
        return "no"
    return "yes" if readings & _YES else "other"


def _without_politeness(words: str) -> str:
    for polite in _POLITE:
        words = words.removeprefix(f"{polite} ").removesuffix(f" {polite}")
    return words


def _words(text: str) -> str:
    """The text in lower case: letters, digits and apostrophes, with single spaces between the words."""
    composed = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")  # the typographic apostrophe
    return " ".join("".join(one if one.isalnum() or one == "'" else " " for one in composed).split())
