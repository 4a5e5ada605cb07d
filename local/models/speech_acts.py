"""What a person does with a sentence, by its grammar: asks for a change, asks about a state, forbids, asks to be told.

Embeddings know what a sentence is about and not what it wants: "Block my card", "Is my card blocked?" and "Do not block
my card" lie close together. So whether a tool that changes something may be reached at all is decided here.

The tests err to the side of nothing being changed. They read English, and a few words of German and Spanish.
"""

import re

_FLAGS = re.IGNORECASE | re.VERBOSE


def _any(words: str) -> str:
    """An alternative of ``words``, which are parted by white space; "_" stands for the space within one."""
    return "(?:" + "|".join(word.replace("_", r"\s+") for word in words.split()) + ")"


# "According to the terms, ...": where to look, before what is asked.
_PLACE = r"(?:according\s+to|as\s+per|per|under|based\s+on|going\s+by|in|by)\s+[\w\s&'-]{1,50},"
# What may stand before the words that tell: "ok, so tell me: is it blocked".
_LEAD = rf"""^\W*(?:{_PLACE}\s*)?(?:{
    _any(
        '''so and but or ok okay hey hi hello well then now please pls plz also just sorry excuse_me wait no yes thanks
        thank actually quick_question tell_me i_wonder i'm_wondering do_you_know let_me_know check
        (?:can|could)_you_(?:tell|say|check|see)(?:_me)? i_(?:want|need|would_like|'d_like)_to_know i'd_like_to_know'''
    )
}\b[\s,:;!.-]*)*"""
_CHANGE = (
    _any(
        """block freez lock cancel disabl deactivat clos shut stop open rais file filing report escalat complain disput
        investigat do_(?:it|that|this|so|any) chang touch alter sperr bloque"""
    )
    + r"\w*"
)
_REQUEST = re.compile(
    rf"""\b(?:
      {_any("can could would will won't wouldn't")} \s+
        {_any("you u ya someone somebody anyone a_[a-z]+ an_[a-z]+ one_of_you")}
    | {_any("can could may")} \s+ i \s+
        {_any("have get ask report open file raise dispute talk speak block freeze lock cancel complain")}
    | (?<!do\s)(?<!did\s)(?<!would\s) i \s+ {_any("want need wish demand require")}
    | i \s* (?:'d|would) \s+ {_any("like love prefer")} | i'd
    | {_any("would_you_mind please pls plz bitte por_favor go_ahead")}
    )\b""",
    _FLAGS,
)
_DEMAND = re.compile(_LEAD + _CHANGE, _FLAGS)
_QUESTION = re.compile(
    _LEAD
    + rf"""(?:
      {_any("is isn't are aren't was wasn't were weren't has hasn't did didn't does doesn't am should shouldn't")}
    | (?:{_any("since until till for from at on in to with by under of about")} \s+)?
      {_any("why when where who whom whose what what's whats which how whether if")}
    | {_any("have haven't had")} \s+ (?:
          {_any("you u they we i he she it any anyone anybody someone somebody")} | (?:my|the) \s+ cards? \s+ been )
    | {_any("do don't")} \s+ {_any("you they we i my the any")}
    | {_any("can could may will would might")} \s+ {_any("i my it they we the he she this that")}
    | {_any("warum wieso weshalb ist wann wer wurde por_qué está")}
    )\b""",
    _FLAGS,
)
_HYPOTHETICAL = re.compile(
    rf"""\b(?:
      {_any("what_if what_happens what_would_happen how_to suppose imagine thinking_of thinking_about in_case_i")}
    | how \s+ {_any("do can would could should")} \s+ {_any("i you one we")}
    | {_any("is_it_possible would_it_be_possible should_i do_i_have_to do_i_need_to what_does_it_mean whether")}
    | if \s+ {_any("i you we it")}
    | {_any("tell know say see check sure remember")} \s+ (?:me\s+)? {_any("if when who why how")}
    )\b""",
    _FLAGS,
)
# "It was blocked", "you blocked my card": a report, unless it is wished for ("I want it to be blocked").
_STATE = re.compile(
    rf"""\b{_any("is was were are got gets been being has had have you they bank system who")} \s+
    (?:{_any("now already just not still been my the card cards it suddenly also apparently wrongly")} \s+){{0,4}}
    {_any("blocked frozen locked stopped declined refused rejected flagged cancell?ed deactivated gesperrt")}\b""",
    _FLAGS,
)
_WISH = re.compile(
    rf"""\b{_any("want need like please pls plz must should have get")}\b
    .* \b{_any("blocked frozen locked cancell?ed")}\b""",
    _FLAGS,
)
_BETWEEN = _any(
    r"""want need wish like to you u please ever yet be being get have having it my the that this any anything a an
    card cards debit credit case [\w:.-]*\d[\w:.-]* just now actually dare go and again me for ask asking asked
    tell telling told"""
)
_NOT = _any(
    r"""do_not don'?t didn'?t(?=_ask|_want|_tell) never(?!_(?!ask|want)[a-z]+ed\b) not no_need without shouldn'?t
    mustn'?t won'?t wouldn'?t rather_not prefer_not hate_to under_no_circumstances
    by_no_means on_no_account instead_of rather_than no_longer nicht no_quiero"""
)
_NEGATED = re.compile(
    rf"""\b{_NOT}\b (?:\s+{_BETWEEN}\b){{0,6}} \s+
      (?: {_CHANGE} | {_any("case ticket complaint human person analyst employee colleague")}\b )
    | \b(?:nicht|keinesfalls) \s+ \w*sperr\w*
    | \b{_CHANGE} \s+ {_any("nothing neither none no_cards? no_more_cards?")}\b
    | \bnothing \s+ (?:to|should\s+be) \s+ {_CHANGE}
    | \b{_any("forget skip avoid refrain_from hold_off hold_off_on wait_with")} \s+
      (?:{_any("about the my this that any")} \s+){{0,2}} (?:block|freez|lock|disput|complain|case)\w*
    | \bleave \s+ (?:[\w:.-]+\s+){{1,4}}?
      {_any("as_it_is as_they_are as_is alone active open unblocked untouched the_way_it_is the_way_they_are")}\b
    | \bleave \s+ it \s+ (?:that\s+way|like\s+that)\b
    | \bstop \s+ (?:the\s+)? (?:block|freez|lock)\w*
    | \bleave \s+ {_any("it my_card the_card things? everything")}\b
    | \bkeep \s+ (?:[\w:.-]+\s+){{1,3}}? {_any("active open working alive unblocked as_it_is as_is")}\b
    | \b{_any("there_is there's with")} \s+ no \s+ (?:\w+\s+)? {_any("dispute complaint case block ticket")}\b
    | \bno \s+ {_any("dispute complaint case block ticket")} \s+
      {_any("please pls necessary needed required then from for is")}\b""",
    _FLAGS,
)
# "I did not lose it after all", "it wasn't stolen": no loss that calls for a block.
_NO_LOSS = re.compile(
    rf"""\b(?:{_any("did_not didn'?t have_not haven'?t was_not wasn'?t is_not isn'?t were_not never not")}) \s+
    (?:{_any("really actually yet been get got")} \s+){{0,2}}
    {_any("lose lost stolen misplace misplaced missing gone robbed")}\b""",
    _FLAGS,
)
_NOT_REALLY_NEGATED = re.compile(r"\b(?:do\s+not|don'?t)\s+(?:forget|hesitate|wait|worry|mind)\b", re.IGNORECASE)
_UNDOING = re.compile(
    rf"""\b(?: un-?(?:block|freez|lock)\w* | re-?(?:activat|open|instat)\w* | activate | entsperr\w* | desbloque\w*
    | {_any("lift remove undo release take_off end cancel")} \s+
      (?:{_any("the this that my")}\s+)? (?:\w+\s+)? {_any("block freeze lock hold")}
    )\b""",
    _FLAGS,
)
_SEEKS = re.compile(
    _LEAD
    + rf"""(?:
      {_any("show list tell give find search look explain check quote read summari[sz]e display get what any details?")}
    | {_any("zeig[a-z]* muestra")}
    | i \s* (?:want|need|'d\s+like|would\s+like) \s+ to \s+ {_any("see know check look")}
    )\b""",
    _FLAGS,
)
# A clause begins behind a stop, or where the next words ask or demand: "..., please block it", "... and why".
_OPENERS = _any(
    """please pls just only block freeze lock cancel disable deactivate open report stop leave show list tell give find
    look explain search check make_sure why what is was are has did do don'?t can could would which who how when i_want
    i'd i_would i_need"""
)
_NEW_CLAUSE = re.compile(
    rf"""(?<=[.!?;\n]) \s+
    | \s* [,:]? \s* \b{_any("and but so then also or")}\b [\s,]+
      (?=(?:{_any("then also please just")}\s+)* {_OPENERS}\b)
    | , \s+ (?=(?:{_any("so but and then")}\s+)? {_OPENERS}\b)""",
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
        if clauses and (_IS_PLACE.fullmatch(clauses[-1]) or _ONLY_SOME.match(clause)):
            clauses[-1] = f"{clauses[-1].rstrip(',')}, {clause}"
        else:
            clauses.append(clause)
    return clauses


def forbids_a_change(clause: str) -> bool:
    """Whether ``clause`` says that something is not to be changed."""
    return _NEGATED.search(clause) is not None and _NOT_REALLY_NEGATED.search(clause) is None


def may_ask_for_a_change(clause: str) -> bool:
    """Whether ``clause`` can be read as asking for a change, and not as a question, a report or a ban."""
    if any(one.search(clause) for one in (_UNDOING, _HYPOTHETICAL, _NO_LOSS)) or forbids_a_change(clause):
        return False
    if _STATE.search(clause) and not _WISH.search(clause):
        return False
    asks_politely = _REQUEST.search(clause) is not None
    return asks_politely or _QUESTION.search(clause) is None


def demands(clause: str) -> bool:
    """Whether ``clause`` asks for a change in so many words, and does not just report what calls for one."""
    return may_ask_for_a_change(clause) and bool(_REQUEST.search(clause) or _DEMAND.match(clause))


def seeks_information(clause: str) -> bool:
    """Whether ``clause`` asks to be told or shown something."""
    return clause.rstrip().endswith("?") or bool(_QUESTION.search(clause) or _SEEKS.search(clause))


def undoes(clause: str) -> bool:
    """Whether ``clause`` asks to take a change back."""
    return _UNDOING.search(clause) is not None
