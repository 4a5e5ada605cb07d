"""What a person does with a sentence, by its grammar: asks for a change, asks about a state, forbids, asks to be told.

Embeddings know what a sentence is about and not what it wants: "Block my card", "Is my card blocked?" and "Do not block
my card" lie close together. So whether a tool that changes something may be reached at all is decided here.

The tests err to the side of nothing being changed. They read English, and a few words of German and Spanish.
"""

import re

from local.models.bans import CHANGE, any_of, forbids_a_change
from local.models.conditions import is_open_condition, waits_for_something, without_polite_conditions
from local.models.deeds import is_told

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
    | {any_of("great nice kind good happy glad grateful appreciate appreciate_it thankful")} \s+ if \s+ you
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
    | ^\W* (?:(?:and|so|but|let's)\W+)* say \s+ {any_of("i we my")} | what \s+ then (?=\W*$)
    | if \s+ (?: {any_of("i we it")} | you\b (?!\s+{any_of("could would can")}\b) )
    | {any_of("tell know say see check sure remember")} \s+ (?:me\s+)? {any_of("if when who why how")}
    # What somebody would do by themselves, and what nearly was done.
    | {any_of("do does will would")} \s+ {any_of("you they the_bank it")} \b .* \b(?: automatic\w* | always
      | (?:by|on) \s+ {any_of("itself yourself yourselves themselves default your_own its_own")} )
    | {any_of("disaster mess shame pity nightmare catastrophe terrible awful")} \b .* \b (?:if|to)
    | will \s+ you \s+ {any_of("have_to need_to ever be")}
    | {any_of("considered thought_about thought_of toyed_with")} \b .* {CHANGE}
    | {any_of("told_me advised_me urged_me suggested recommended wants thinks says said suggests recommends")} \b
      .* {CHANGE} .* \b but
    | {any_of("nearly almost")} \s+ (?:[\w'-]+\s+){{0,6}} {CHANGE}
    | {any_of("i we he she they husband wife son daughter")} \s+ {any_of("was were")} \s+ (?:just\s+|already\s+)?
      {any_of("about_to going_to ready_to close_to tempted_to")} \b .* {CHANGE}
    )\b""",
    _FLAGS,
)
# "Good thing that I did not have to block it", "luckily it is here"
_RELIEF = re.compile(
    rf"""{_LEAD}(?:
      {any_of("good_thing thank_god thank_goodness thank_heavens luckily fortunately thankfully phew lucky_me")}
    | {any_of("what_luck what_a_relief such_a_relief a_relief")}
    | it(?:'s|\s+is|\s+was) \s+ {any_of("good lucky fortunate a_relief")} \s+ that
    | {any_of("i'm i_am we're we_are i_was")} \s+ (?:{any_of("so very really just quite also")}\s+)?
      {any_of("glad relieved happy pleased lucky thankful")} (?!\s+(?:if|when|to)\b) )""",
    _FLAGS,
)
# "You opened one, did you?"
_TAG = re.compile(
    rf""", \s* {any_of("have has did do does is are was were")}(?:n'?t)?
      \s+ {any_of("i you it he she they we one there anyone")} \s* (?:\?|$)""",
    _FLAGS,
)
# "It was blocked", "you blocked my card": a report, unless it is wished for ("I want it to be blocked").
_STATE = re.compile(
    rf"""\b{
        any_of(
            '''is was were are got gets been being has had have you they bank system who
        nobody no_one anybody anyone somebody someone'''
        )
    } \s+
    (?:{any_of("now already just not still been my the card cards it suddenly also apparently wrongly")} \s+){{0,4}}
    {any_of("blocked frozen locked stopped declined refused rejected flagged cancell?ed deactivated gesperrt")}\b
    | \b{any_of("i we he she")} \s+ (?:{any_of("already just also never")} \s+)? {any_of("blocked froze locked")}\b""",
    _FLAGS,
)
_WISH = re.compile(
    rf"""\b(?:{any_of("thankful_if grateful_if obliged_if glad_if happy_if appreciate_it_if")}
    | {any_of("want need like please pls plz must should have get")})\b
    .* \b{any_of("blocked frozen locked cancell?ed")}\b""",
    _FLAGS,
)
# "I did not lose it after all", "it wasn't stolen": no loss that calls for a block.
_NO_LOSS = re.compile(
    rf"""\b(?:{any_of("nothing none neither nobody no_card")} \s+ {any_of("has is was has_been were have")} |
      {any_of("did_not didn't have_not haven't was_not wasn't is_not isn't were_not never not")}) \s+
    (?:{any_of("really actually yet been get got")} \s+){{0,2}}
    {any_of("lose lost stolen misplace misplaced missing gone robbed")}\b
    | \bno \s+ {any_of("theft loss robbery")}\b""",
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
# "Has it been unblocked?", "what does the policy say of unblocking?"
_ASKS_OF_AN_UNDOING = re.compile(
    _LEAD
    + rf"""(?: (?:{any_of("since when why who by_whom whether")} \s+)?
      {any_of("has have hasn't haven't is isn't are aren't was wasn't were weren't who whether when")} \b .*
      \b{any_of("unblocked unfrozen unlocked reactivated re-activated reopened lifted removed undone released")}
    | (?:{any_of("when why")}\s+)? {any_of("did didn't")} \s .*
      \b{any_of("unblock unfreeze unlock reactivate lift remove")}
    | .* {any_of("what where how does do is")} \b .*
      \b{any_of("say says state states mention mentions written stand")} \b )""",
    _FLAGS,
)
# "Why don't you just block it?"; "why didn't you" asks how things came about.
_SUGGESTION = re.compile(
    rf"""\b(?: why \s+ {any_of("don't do_not can't cannot won't")} \s+ {any_of("you we u they")}
      | why \s+ not | how \s+ about \s+ you | what \s+ about \s+ you )
    \s+ (?:{any_of("just simply please finally go_ahead_and")} \s+)* (?={CHANGE}\b)""",
    _FLAGS,
)
# "I was wondering whether I could ask you to block it": a request, however far about.
_ROUNDABOUT = re.compile(
    rf"""\b i \s* (?:'m|am|was|have\s+been|just)? \s* {any_of("wonder wondering wondered hoping")} \s+
      (?:if\s+|whether\s+)?
      (?: {any_of("you someone somebody")} \s+ {any_of("could would might can")} (?:\s+(?:possibly|please|kindly))?
          (?:\s+be\s+(?:able|willing|so\s+(?:\w+\s+)?(?:kind|good)\s+as)\s+to)?
        | i \s+ {any_of("could might can may")} \s+ {any_of("ask trouble bother")} \s+ you \s+ to )
    | \b{any_of("might may could can")} \s+ i \s+ (?:\w+\s+)? {any_of("ask trouble bother")} \s+ you \s+ to
    | \b{any_of("might may could can")} \s+ i \s+ (?:\w+\s+)? {any_of("request ask")} \s+
      (?:that\s+)? (?=(?:somebody|someone|you)\b)
    | \bis \s+ there \s+ any \s+ (?:chance|way) \s+ (?:that\s+)? (?:you \s+ (?:could|can|would)?)""",
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
    look explain search check read quote summari[sz]e make_sure since_when for_how_long
    why what is was are has did do don't can could would which who how when i_want
    i'd i_would i_need i_do i_just i_only shut close put raise dispute_(?:it|this|that|tx) (?:file|lodge)_an? keep"""
)
_NEW_CLAUSE = re.compile(
    rf"""(?<=[.!?;\n]) \s+
    | \s* [,:]? \s* \b{any_of("and but so then also or")}\b [\s,]+
      (?=(?:{any_of("then also please just")}\s+)* {_OPENERS}\b)
    | \s* ,? \s* \b(?:and|but) \s+ (?=(?:if|unless|once)\b(?!\s+(?:so|not)\b))
    | (?:[,:]|\s[\u2013\u2014-]) \s+ (?=(?:{any_of("so but and then now")}\s+)? {_OPENERS}\b)""",
    _FLAGS,
)
# Parts that are no clauses of their own: "according to the terms, when ...", "my payments, but only the flagged ones".
_IS_PLACE = re.compile(rf"\W*{_PLACE.removesuffix(',')},?", re.IGNORECASE)
_IS_SPAN = re.compile(r"\W*(?:since|in|over|during|within|for)\s+(?:[\w'-]+\s+){0,4}[\w'-]+,?", re.IGNORECASE)
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
    return bool(goes_on or is_open_condition(before) or _IS_PLACE.fullmatch(before) or _IS_SPAN.fullmatch(before))


def without_denied_loss(text: str) -> str:
    """``text`` without what did not happen: of "it was not lost but stolen" only the theft is left."""
    return _NO_LOSS.sub(" ", text)


def may_ask_for_a_change(clause: str) -> bool:
    """Whether ``clause`` can be read as asking for a change, and not as a question, a report or a ban."""
    clause = without_polite_conditions(clause)
    if any(one.search(clause) for one in (_UNDOING, _HYPOTHETICAL)) or forbids_a_change(clause) or _tells(clause):
        return False
    if waits_for_something(clause) or is_told(clause):
        return False
    if _NO_LOSS.search(clause) and not _LOSS.search(without_denied_loss(clause)):
        return False
    if _STATE.search(clause) and not _WISH.search(clause):
        return False
    if _REQUEST.search(clause):
        return True
    return not _QUESTION.search(clause) and not (_STATEMENT.match(clause) and not _AMISS.search(clause))


def _tells(clause: str) -> bool:
    """Whether ``clause`` tells of a relief, or asks without a request: "so nobody can pay with it any more?"."""
    if _REQUEST.search(clause):
        return False
    asks = clause.rstrip().endswith("?") and not _DEMAND.match(clause) and not _LOSS.search(clause)
    return bool(asks or _TAG.search(clause) or _RELIEF.match(clause))


def demands(clause: str) -> bool:
    """Whether ``clause`` asks for a change in so many words, and does not just report what calls for one."""
    return may_ask_for_a_change(clause) and bool(_REQUEST.search(clause) or _DEMAND.match(clause))


def seeks_information(clause: str) -> bool:
    """Whether ``clause`` asks to be told or shown something."""
    return clause.rstrip().endswith("?") or bool(_QUESTION.search(clause) or _SEEKS.search(clause))


def undoes(clause: str) -> bool:
    """Whether ``clause`` asks to take a change back, and not whether that was done or what is written of it."""
    if _ASKS_OF_AN_UNDOING.search(clause):
        return False
    return _UNDOING.search(clause) is not None


def plainly_requested(text: str) -> str:
    """``text`` with "please block it" for "why don't you just block it?": a request in a question's clothes."""
    return _ROUNDABOUT.sub("could you ", _SUGGESTION.sub("please ", text))
