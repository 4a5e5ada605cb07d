"""Whether a statement says the same thing the same way round as its source: not what the source denies, not "rose"
where it fell.

Each clause is read as said or as denied: a negation turns it round, two turn it back ("not prohibited"). A word that is
said in the statement and denied in the source, or the other way round, is a contradiction; where most of the words that
both share are such, the statement is one. Compared with the source sentences that the statement was made from, not with
the whole passage: a "not" three sentences away says nothing.

English, by rules: irony, "few" and "hardly ever" are not understood.
"""

import re

from text_words import STOP_WORDS, sentences, stem, tokens

# These deny their clause, wherever they stand in it.
_CLAUSE_NEGATIONS = frozenset({"not", "never", "cannot", "neither", "nor"})
# These deny their clause as its subject ("No person shall ..."), else the words that follow ("had no pictures").
_SUBJECT_NEGATIONS = frozenset({"no", "nobody", "none", "nothing", "without"})
_FOLLOWING = 2
# Words with a "not" of their own.
_NEGATIVE_WORDS = """
    abolish abolished ban banned barred denied deny disallowed excluded fail failed fails forbade forbid forbidden
    forbids illegal impossible insufficient lack lacked lacks outlawed prevent prevented prevents prohibit prohibited
    prohibits refuse refused refuses reject rejected rejects unable unlawful"""
_NEGATIVES = frozenset(_NEGATIVE_WORDS.split())
_CONTRACTION = re.compile("n['\\u2019]t\\b", re.IGNORECASE)
_ASIDE = re.compile(r",\s(?:except|unless|although|if|when|where)\b[^,;.]*,")
_BOUNDARY = re.compile(
    r"[;:()\u2014]|,\s(?=(?:and|but|or|nor|which|who|whom|whereas|for|so|yet)\b)"
    r"|\s(?=(?:but|because|unless|except|although|whereas|while|whereof|if)\b)"
)
# "No more than twice", "not until May", "not only": the negation sets a bound, it denies nothing.
_BOUND = re.compile(r"\b(?:more|less|fewer|later|earlier) than\b|\b(?:only|until)\b", re.IGNORECASE)
_LEAST_CONTRADICTED = 2
_OPPOSITE_WORDS = [
    (
        "increase increased increases rise rises rose risen grew grow gain gained higher",
        "decrease decreased decreases fall falls fell fallen shrank lower dropped drop reduced",
    ),
    ("above exceeds exceeding", "below"),
    ("maximum most", "minimum least"),
    ("before", "after"),
    ("always", "never seldom rarely"),
    ("accept accepts accepted approve approved", "reject rejected refuse refused"),
    ("profit profits", "loss losses"),
]
_OPPOSITES = [(frozenset(one.split()), frozenset(other.split())) for one, other in _OPPOSITE_WORDS]


def contradictions(statement: str, source: str) -> list[str]:
    """Where ``statement`` and the ``source`` sentences that it was made from say opposite things, a sentence each."""
    problems = []
    said, said_there = _signs(statement), _signs(source)
    shared = [word for word in said if said_there.get(word) is not None and said[word] is not None]
    turned = [word for word in shared if said[word] != said_there[word]]
    if len(turned) >= min(_LEAST_CONTRADICTED, len(shared)) and 2 * len(turned) > len(shared):
        denies = sum(said[word] is False for word in turned) * 2 > len(turned)
        problems.append("it denies what is said there" if denies else "it says what is denied there")
    words, words_there = _lower_tokens(statement), _lower_tokens(source)
    for one, other in _OPPOSITES:
        for mine, theirs in ((one, other), (other, one)):
            if words & mine and not words & theirs and words_there & theirs and not words_there & mine:
                problems.append(f"it says {min(words & mine)} where {min(words_there & theirs)} is said there")
    return problems


def _signs(text: str) -> dict[str, bool | None]:
    """For each content stem whether it is said (True), denied (False), or both or unclear (None)."""
    signs: dict[str, bool | None] = {}
    plain = _CONTRACTION.sub(" not", text).replace("cannot", "can not")
    for sentence in sentences(plain):
        for clause in _BOUNDARY.split(_ASIDE.sub(" ", sentence)):
            for word, is_said in _clause_signs(clause):
                signs[word] = is_said if signs.get(word, is_said) == is_said else None
    return signs


def _clause_signs(clause: str) -> list[tuple[str, bool | None]]:
    words = [token.lower() for token in tokens(clause)]
    denials = {"nor" if word in ("neither", "nor") else word for word in words if word in _CLAUSE_NEGATIONS}
    # "Denied or abridged": one of several things, which does not turn the others round.
    alone = [word for place, word in enumerate(words) if words[place + 1 : place + 2] not in (["or"], ["and"])]
    turns = len(denials) + sum(word in _NEGATIVES for word in alone)
    local: set[int] = set()
    for position, word in enumerate(words):
        if word not in _SUBJECT_NEGATIONS:
            continue
        if position <= 1 and word != "without":
            turns += 1
        else:
            local.update(range(position + 1, position + 1 + _FOLLOWING))
    is_said = None if turns and _BOUND.search(clause) else turns % 2 == 0
    return [
        (stem(word), is_said if position not in local or is_said is None else not is_said)
        for position, word in enumerate(words)
        if word not in STOP_WORDS | _CLAUSE_NEGATIONS | _SUBJECT_NEGATIONS
    ]


def _lower_tokens(text: str) -> set[str]:
    return {token.lower() for token in tokens(text)}
