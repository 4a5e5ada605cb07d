"""What a person does with a sentence, by its grammar: asks for a change, asks about a state, forbids, asks to be told.

Embeddings know what a sentence is about and not what it wants: "Block my card", "Is my card blocked?" and "Do not block
my card" lie close together. So whether a tool that changes something may be reached at all is decided here.

The tests err to the side of nothing being changed. They read English, and a few words of German and Spanish.
"""

import re

from local.models.bans import CHANGE, any_of, forbids_a_change

_FLAGS = re.IGNORECASE | re.VERBOSE

# "According to the terms, ...": where to look, before what is asked.
_PLACE = r"(?:according\s+to|as\s+per|per|under|based\s+on|going\s+by|in|by)\s+[\w\s&'-]{1,50},"
# What may stand before the words that tell: "ok, so tell me: is it blocked".
_LEAD = rf"""^\W*(?:{_PLACE}\s*)?(?:{
    any_of(
        '''so and but or ok okay hey hi hello well then now please pls plz also just sorry excuse_me wait no yes thanks
        thank actually quick_question tell_me i_wonder i'm_wondering do_you_know let_me_know check
        (?:can|could)_you_(?:tell|say|check|see)(?:_me)? i_(?:want|need|would_like|'d_like)_to_know i'd_like_to_know'''
    )
}\b[\s,:;!.-]*)*"""
_REQUEST = re.compile(
    rf"""\b(?:
      {any_of("can could would will won't wouldn't")} \s+
        {any_of("you u ya someone somebody anyone a_[a-z]+ an_[a-z]+ one_of_you")}
    | {any_of("can could may")} \s+ i \s+
        {any_of("have get ask report open file raise dispute talk speak block freeze lock cancel complain")}
    | (?<!do\s)(?<!did\s)(?<!would\s) i \s+ (?:{any_of("do really just only still")} \s+)?
      {any_of("want need wish demand require")}
    | i \s* (?:'d|would) \s+ {any_of("like love prefer")} | i'd
    | {any_of("would_you_mind please pls plz bitte por_favor go_ahead")}
    )\b""",
    _FLAGS,
)
_DEMAND = re.compile(rf"{_LEAD}(?:do\s+)?{CHANGE}", _FLAGS)
_QUESTION = re.compile(
    _LEAD
    + rf"""(?:
      {any_of("is isn't are aren't was wasn't were weren't has hasn't did didn't does doesn't am should shouldn't")}
    | (?:{any_of("since until till for from at on in to with by under of about")} \s+)?
      {any_of("why when where who whom whose what what's whats which how whether if")}
    | {any_of("have haven't had")} \s+ (?:
          {any_of("you u they we i he she it any anyone anybody someone somebody")} | (?:my|the) \s+ cards? \s+ been )
    | {any_of("do don't")} \s+ {any_of("you they we i my the any")}
    | {any_of("can could may will would might")} \s+ {any_of("i my it they we the he she this that")}
    | {any_of("warum wieso weshalb ist wann wer wurde por_qué está")}
    )\b""",
    _FLAGS,
)
_HYPOTHETICAL = re.compile(
    rf"""\b(?:
      {any_of("what_if what_happens what_would_happen how_to suppose imagine thinking_of thinking_about in_case_i")}
    | how \s+ {any_of("do can would could should")} \s+ {any_of("i you one we")}
    | {any_of("is_it_possible would_it_be_possible should_i do_i_have_to do_i_need_to what_does_it_mean whether")}
    | {any_of("(?:do|would)_you_(?:think|believe|recommend|advise|suggest) maybe_i_should perhaps_i_should i_wonder")}
    | if \s+ {any_of("i you we it")}
    | {any_of("tell know say see check sure remember")} \s+ (?:me\s+)? {any_of("if when who why how")}
    )\b""",
    _FLAGS,
)
# "It was blocked", "you blocked my card": a report, unless it is wished for ("I want it to be blocked").
_STATE = re.compile(
    rf"""\b{any_of("is was were are got gets been being has had have you they bank system who")} \s+
    (?:{any_of("now already just not still been my the card cards it suddenly also apparently wrongly")} \s+){{0,4}}
    {any_of("blocked frozen locked stopped declined refused rejected flagged cancell?ed deactivated gesperrt")}\b
    | \b{any_of("i we he she")} \s+ (?:{any_of("already just also never")} \s+)? {any_of("blocked froze locked")}\b""",
    _FLAGS,
)
_WISH = re.compile(
    rf"""\b{any_of("want need like please pls plz must should have get")}\b
    .* \b{any_of("blocked frozen locked cancell?ed")}\b""",
    _FLAGS,
)
# "I did not lose it after all", "it wasn't stolen": no loss that calls for a block.
_NO_LOSS = re.compile(
    rf"""\b(?:{any_of("did_not didn't have_not haven't was_not wasn't is_not isn't were_not never not")}) \s+
    (?:{any_of("really actually yet been get got")} \s+){{0,2}}
    {any_of("lose lost stolen misplace misplaced missing gone robbed")}\b""",
    _FLAGS,
)
# "CARD-1 is with me", "I bought it there": a statement. It calls for a change only by something that is amiss.
_STATEMENT = re.compile(
    rf"""{_LEAD}(?: (?:i|we|i'm|i've|we've|that's|it's) \s+ \w
    | (?: {any_of("it that this they those these")} | {any_of("my the your our")} \s+ (?:[\w-]+\s+){{1,4}}?
        | (?:{any_of("my the card payment purchase transaction")}\s+)* [\w-]*\d[\w-]* ) \s*
      {any_of("is was are were has had will can may must should works belongs does did got")}\b )""",
    _FLAGS,
)
_AMISS = re.compile(
    rf"""\b(?: {CHANGE} | \w+n't | {any_of("not no none never nobody nothing nowhere unable without cannot")}
    | (?:lost|los[ei]|sto[lr]e|steal|theft|thie|rob|missing|gone|mis-?laid|misplac|forg[eo]t|left|dropp|vanish|disappear
      |snatch|nick|pinch|mugg|swip|tak|took|swallow|kept|retain|brok|damag|fault|burgl|pick-?pocket|hack|scam|phish|clon
      |cop(?:y|ied)|skimm|leak|compromis|fraud|fak|unauthor|unknown|unfamiliar|strange|odd\b|weird|suspicious|suspect
      |wrong|mistake|error|incorrect|twice|double|duplicate|two\s+times|second\s+time|too\s+much|overcharg|unjust
      |unfair|refus|fail|problem|issue|trouble|unhappy|object|claim|refund|money\s+back|expos|illegal|abus|misus|cheat
      |trick|defective|contest|somebody|someone|somehow|stranger|other\s+people|elsewhere|case|ticket|unsafe|danger
      |risk|fell|slipp|verl|gestohl|perd|roba|reklam|falsch)\w*
    )\b""",
    _FLAGS,
)
_LOSS = re.compile(r"\b(?:lost|stole|stolen|missing|gone|robbed|misplaced)\b", re.IGNORECASE)
_UNDOING = re.compile(
    rf"""\b(?: un-?(?:block|freez|lock)\w* | re-?(?:activat|open|instat)\w* | activate | entsperr\w* | desbloque\w*
    | {any_of("lift remove undo release take_off end cancel")} \s+
      (?:{any_of("the this that my")}\s+)? (?:\w+\s+)? {any_of("block freeze lock hold")}
    )\b""",
    _FLAGS,
)
_SEEKS = re.compile(
    _LEAD
    + rf"""(?:
      {any_of("show list tell give find search look explain check quote read summari[sz]e display get")}
    | {any_of("what any details? zeig[a-z]* muestra")}
    | i \s* (?:want|need|'d\s+like|would\s+like) \s+ to \s+ {any_of("see know check look")}
    )\b""",
    _FLAGS,
)
# A clause begins behind a stop, or where the next words ask or demand: "..., please block it", "... and why".
_OPENERS = any_of(
    """please pls just only block freeze lock cancel disable deactivate open report stop leave show list tell give find
    look explain search check make_sure why what is was are has did do don't can could would which who how when i_want
    i'd i_would i_need i_do i_just i_only shut close put raise dispute_(?:it|this|that|tx) (?:file|lodge)_an? keep"""
)
_NEW_CLAUSE = re.compile(
    rf"""(?<=[.!?;\n]) \s+
    | \s* [,:]? \s* \b{any_of("and but so then also or")}\b [\s,]+
      (?=(?:{any_of("then also please just")}\s+)* {_OPENERS}\b)
    | (?:[,:]|\s[\u2013\u2014-]) \s+ (?=(?:{any_of("so but and then")}\s+)? {_OPENERS}\b)""",
    _FLAGS,
)
# Parts that are no clauses of their own: "according to the terms, when ...", "my payments, but only the flagged ones".
_IS_PLACE = re.compile(rf"\W*{_PLACE.removesuffix(',')},?", re.IGNORECASE)
_ONLY_SOME = re.compile(
    r"(?:but\s+|and\s+)?(?:only|just)\s+(?:the|those|these|for|from|with|in|of|my)\b(?!\s+(?:question|thing))",
    re.IGNORECASE,
)


def clauses_of(text: str) -> list[str]:
    """``text`` cut where a new thing is said or asked for; lists stay whole."""
    clauses: list[str] = []
    for clause in (one.strip() for one in _NEW_CLAUSE.split(text) if re.search(r"\w", one)):
        if clauses and _belongs_to(clauses[-1], clause):
            clauses[-1] = f"{clauses[-1].rstrip(',')}, {clause}"
        else:
            clauses.append(clause)
    return clauses


def _belongs_to(before: str, clause: str) -> bool:
    """Whether ``clause`` goes on with ``before``; "..., just my payments" does not where that was a ban."""
    goes_on = _ONLY_SOME.match(clause) and not forbids_a_change(before)
    return bool(goes_on or _IS_PLACE.fullmatch(before))


def without_denied_loss(text: str) -> str:
    """``text`` without what did not happen: of "it was not lost but stolen" only the theft is left."""
    return _NO_LOSS.sub(" ", text)


def may_ask_for_a_change(clause: str) -> bool:
    """Whether ``clause`` can be read as asking for a change, and not as a question, a report or a ban."""
    if any(one.search(clause) for one in (_UNDOING, _HYPOTHETICAL)) or forbids_a_change(clause):
        return False
    if _NO_LOSS.search(clause) and not _LOSS.search(without_denied_loss(clause)):
        return False
    if _STATE.search(clause) and not _WISH.search(clause):
        return False
    if _REQUEST.search(clause):
        return True
    return not _QUESTION.search(clause) and not (_STATEMENT.match(clause) and not _AMISS.search(clause))


def demands(clause: str) -> bool:
    """Whether ``clause`` asks for a change in so many words, and does not just report what calls for one."""
    return may_ask_for_a_change(clause) and bool(_REQUEST.search(clause) or _DEMAND.match(clause))


def seeks_information(clause: str) -> bool:
    """Whether ``clause`` asks to be told or shown something."""
    return clause.rstrip().endswith("?") or bool(_QUESTION.search(clause) or _SEEKS.search(clause))


def undoes(clause: str) -> bool:
    """Whether ``clause`` asks to take a change back."""
    return _UNDOING.search(clause) is not None
