"""What says that nothing is to be changed, by its grammar: bans, withdrawals, and payments that are the person's own.

A negation forbids where it meets a change behind it, with nothing between but what a ban may have there: wishes, needs
and opinions ("I don't think that we need to block it"), objects, small words. So "I didn't make it, block the card" is
none. A negated report is none either: "you have not blocked it" tells or asks how things are.

The tests err to the side of nothing being changed. They read English, and a few words of German and Spanish.
"""

import re

_FLAGS = re.IGNORECASE | re.VERBOSE


def any_of(words: str) -> str:
    """An alternative of ``words``, which are parted by white space; "_" stands for the space within one.

    "don't" is met without its apostrophe too.
    """
    return "(?:" + "|".join(word.replace("_", r"\s+").replace("n't", "n'?t") for word in words.split()) + ")"


CHANGE = (
    any_of(
        """block freez lock cancel disabl deactivat clos shut stop open rais file filing report escalat complain disput
        investigat do_(?:it|that|this|so|any) chang touch alter sperr bloque"""
    )
    + r"\w*"
)
# What else may be forbidden, though these words alone ask for no change.
_STEP = any_of(
    r"""look_into looking_into check\w* examin\w* review\w* pursu\w* contest\w* involv\w* involved act action actions
    steps fuss put(?:ting)?_(?:a|any)_(?:stop|hold) switch(?:ing)?"""
)
_CASE = "case cases ticket complaint dispute claim investigation block freeze"
_MATTER = any_of(f"{_CASE} human person analyst employee colleague")
_CASE = any_of(_CASE)
_BETWEEN = any_of(
    r"""want wants wanted wanting need needs needed needing wish like have_to has_to having_to had_to got_to
    think believe feel see say saying mean meant intend intention plan planning plans consider considering thinking
    reason reasons cause point sense rush hurry interest interested necessary required call
    ask asks asking asked tell telling told request requested requesting expect bother bothering try trying start dare
    allowed supposed going proceed proceed_with continue
    to of in for with that why there worth you u please ever yet be being get getting got have having been
    i we he she they it my our your the this these those them him her us any anything a an anyone anybody someone
    somebody anyone_(?:else|there) card cards debit credit payment transaction purchase
    [\w:.-]*\d[\w:.-]* just now right_now right_away already actually really simply even either immediately
    automatically go and again left me another new formal official further more such is are should would"""
)
# "I don't have it, block it" and "not my payment, ...", without their commas, are no bans.
_HAVING = r"(?!_have_(?:it|my|the|this|that|[\w-]*\d))"
_NOT = any_of(
    rf"""(?:do_not|don't|doesn't|no_longer){_HAVING} didn't(?=_(?:ask|want|tell|mean|intend|request))
    never(?!_(?!ask|want)[a-z]+ed\b) not(?!_(?:my|mine|me)\b)
    without shouldn't mustn't won't wouldn't needn't (?:you|u)_(?:can't|cannot|may_not)
    isn't(?=_(?:necessary|needed|required|any|a_|worth)) i'm_not nobody no_one none_of_you nothing neither nor
    no_(?:need|reason|cause|intention|wish|desire|interest|point|plans?|rush|hurry|sense|right)
    forbid oppose opposed_to against rather_not prefer_not hate_to loath_to reluctant_to under_no_circumstances
    by_no_means on_no_account in_no_case instead_of rather_than nicht no_quiero"""
)
_KEPT = any_of(
    """as_it_is as_they_are as_is alone active open on alive running working usable in_use live unblocked untouched
    unchanged the_way_it_is the_way_they_are like_that that_way"""
)
_BAN = re.compile(
    rf"""\b{_NOT} (?:\s+{_BETWEEN}(?![\w'])){{0,9}} \s+ (?: {CHANGE} | (?:{_STEP}|{_MATTER})\b )
    | (?:^|\b{any_of("please just simply should to and")}) \W* do \s+ nothing\b | \bhands \s+ off\b
    | \b(?:nicht|keinesfalls) \s+ \w*sperr\w*
    | \b{CHANGE} \s+ {any_of("nothing neither none no_cards? no_more_cards?")}\b
    | \bnothing \s+ (?:is\s+)? (?:to|should\s+be) \s+ (?:be\s+)? {CHANGE}
    | \bno \s+ need \s+ (?:to|for\s+you\s+to) \s+ {any_of("trouble bother contact call inform involve alert")}\b
    | \bno \s+ (?:more\s+|further\s+)?
      {any_of("blocking freezing locking disputing investigating action actions steps")}\b
    | \b{any_of("skip avoid refrain_from abstain_from hold_off hold_off_on hold_off_with wait_with postpone delay")} \s+
      (?:{any_of("about the my this that any a opening raising filing")} \s+){{0,3}}
      (?: (?:block|freez|lock|disput|complain|deactivat|stopp|investigat)\w* | {_MATTER}\b )
    # what stays: "leave it", "keep CARD-1 open", "it should stay active"
    | \b{any_of("leave leaving keep keeping let")} \s+ (?:[\w:.-]+\s+){{1,4}}? {_KEPT}(?![\w'])
    | \bleave \s+ {any_of("it my_card the_card things? everything them")}\b
    | \b{any_of("should must shall want prefer like rather let needs? has_to have_to")}\b .{{0,40}}
      \b(?:stay|stays|remain|remains|kept) \s+ {_KEPT}(?![\w'])
    | \blet \s+ (?:my\s+|the\s+)? [\w:.-]+ \s+ (?:be|go)\b
    | \b(?:i|we) (?:'ll|'d|\s+will|\s+would)? (?:\s+{any_of("like want need have")}\s+to)? \s+
      {any_of("keep continue go_on")} \s+ {any_of("using paying_with")}\b
    | \bstop \s+ (?:the\s+)? (?:block|freez|lock)ing
    | \b(?:rather|better) \s+ not \W* $ | \b(?:i|we) \s+ disagree \b | \bnot \s+ worth \s+ (?:it|the\s+\w+)\b
    # "no case", where it is all that is said of it
    | \b{any_of("there_is there's with")} \s+ no \s+ (?:\w+\s+)? {_CASE}\b
    | \bno \s+ (?:\w+\s+)? {_CASE} (?: \s* (?:[.!,;]|$) | \s+
      {any_of("please pls thanks thank necessary needed required wanted then from for is about on over")}\b )
    # "a block is not necessary"
    | \b(?:{_MATTER}|\w*(?:block|freez|lock)ing(?:\s+(?:it|the\s+card|my\s+card|[\w-]*\d\w*))?) \s+ (?:\w+\s+){{0,2}}?
      (?: {any_of("isn't wasn't is_not was_not won't_be will_not_be is_no_longer not")} \s+
          {any_of("necessary needed required wanted called_for worth")}
        | is \s+ (?:\w+\s+)? {any_of("unnecessary overkill premature pointless")} | can \s+ wait )""",
    _FLAGS,
)
# What was asked for is taken back: no "cancel that card", which asks for a block.
_REQUESTED = r"(?:\w+\s+){0,2}(?:request|instruction|message|report|words?|wish|block|freeze|case|dispute|complaint)"
_SETTLED = r"(?:settled|sorted|resolved|cleared\s+up|taken\s+care\s+of|refunded|paid\s+back|solved)"
_PAYMENT = r"(?:it|that|this|they|those|these|(?:\w+\s+){0,2}(?:payment|purchase|charge|transaction|one)s?|tx-[\w-]*)"
_WITHDRAWAL = re.compile(
    rf"""^\W*(?:(?:no|please|well|oh|but)\W+)*not \s+ (?:just\s+|right\s+)? (?:yet|now)\b
    | \b(?: changed \s+ (?:my|our) \s+ minds? | never \s*mind | nevermind | false \s+ alarm
    | on \s+ (?:second|reflection) \s* (?:thoughts?)?
    | cancel \s+ (?:that|this) \s* (?:[.!,;]|$)
    | {any_of("withdraw retract revoke disregard ignore scrap drop cancel forget call_off take_back")} \s+
      (?: (?:about\s+)? (?:the|my|our|that|this|any|what) \s+ {_REQUESTED}\b | what \s+ i \s+ (?:said|asked|wrote)
        | (?<!cancel\s) {any_of("that it this")} \s* (?:[.!,;]|$)
        | about \s+ (?:it|that|this|block|freez|lock|disput|report)\w* )
    | {any_of("take took taking")} \s+ (?:it|that|this|what\b.*|everything) \s+ back | take \s+ back \s+ what
    )
    # the matter is closed
    | \b(?:{_PAYMENT}|matter|everything|shop|seller) (?:'s|\s+(?:has|have|is|was|got)) \s+
      (?:(?:been|already|now|all)\s+)* {_SETTLED}\b (?!\s+(?:only|partly|in\s+part|but|wrong))
    | \b{any_of("turns turned")} \s+ out \s+ (?:that\s+)? {_PAYMENT} (?:'s|\s+(?:was|is)) \s+
      (?! {any_of("not never no a_fraud a_scam fraud fake stolen somebody someone")}\b )
    # the card is there
    | (?<!case\s)\b(?:i|we|he|she|wife|husband|son|daughter|somebody|someone) (?:'ve|'s|\s+have|\s+has)? \s+
      (?:\w+\s+)? found \s+
      {any_of("it my_card the_card my_debit my_credit my_wallet my_purse CARD-")}
    | (?<!never\s)(?<!not\s)(?<!n't\s)(?<!to\s)
      \b{any_of("turned_up reappeared resurfaced got_it_back have_it_back has_it_back have_it_again")}\b
    | \bhave \s+ (?:it|my\s+card(?:\s+back)?|the\s+card(?:\s+back)?|[\w-]*\d) \s+
      {any_of("with_me here in_my_hands? again")}\b
    | \b(?:it|card|[\w-]*\d) (?:\s+is|'s) \s+ (?:{any_of("still safely safe right all all_along now back")} \s+)*
      {any_of("right_here here_with_me with_me in_front_of_me next_to_me beside_me in_my_hands?")}\b
    | \b(?:it|card|[\w-]*\d) (?:\s+is|'s) \s+ (?:{any_of("still safely safe all_along now back")} \s+)*
      {any_of("at_home in_my_(?:pocket|bag|wallet|purse|hand|drawer|car|jacket)")} \b
      (?!.*\b{any_of("stolen stole lost gone missing")}\b)
    | \b{any_of("felt saw spotted noticed discovered located")} \s+ {any_of("it my_card the_card")} \s+
      {any_of("in on under behind at")}\b
    | ^\W*(?:{any_of("hang_on wait hold_on oh no stop ok")}\W+)+ i (?:\s+have|'ve) \s+ (?:got\s+)? it \W* $
    | \bfound \s+ (?:the|my|a|its) \s+ (?:receipt|invoice|bill|order|booking\s+confirmation)\b
    | \b(?:i|we|he|she|wife|husband) (?:'ve|\s+have|\s+has)? \s+ (?:already\s+)? got \s+
      (?:{_PAYMENT}|my\s+money|the\s+money) \s+ (?:refunded|back|reimbursed)\b
    # a bare "then don't"
    | ^\W*(?:{any_of("then so please no just well ok oh")}\W+)* {any_of("don't do_not")} \W*
      (?:{any_of("please then thanks")}\W*)?$
    | \bhere \s+ it \s+ is\b | \b(?:lost|stolen|gone|missing) \s+ after \s+ all\b""",
    _FLAGS,
)
# A payment that is the person's own. Something may yet be wrong with it: "it was me, but they charged me twice".
_OWN = re.compile(
    rf"""^(?!.*\b(?:but|twice|double|wrong|never|not|no(?!\W+(?:that|it|this)\b)|\w+n't|too\s+much|only)\b
      (?!\s+(?:need|worr|problem|case|disput|fraud|action)))
    .*\b(?: gave \s+ (?:me\s+)? (?:my\s+|the\s+)? money \s+ back
    | i (?:'m|\s+am) \s+ (?:\w+\s+)? {any_of("fine happy ok okay content")} \s+ with \s+ {_PAYMENT}
    | {any_of("made done paid ordered authori[sz]ed")} \s+ by \s+ (?:me|myself)
    | {_PAYMENT} \s* (?:was|is|were|are|'s) \s+ (?:all\s+|perfectly\s+|really\s+|just\s+|actually\s+|indeed\s+)?
      (?: {any_of("me mine ours my_own by_me legit legitimate genuine fine ok okay authori[sz]ed")}\b
          (?!\s+(?:to|if|for))
        | my \s+ (?:\w+\s+)? {any_of("payment purchase order wife husband son daughter")}\b )
    | i (?:'ve|\s+have)? \s+ (?:\w+\s+)? {any_of("bought made paid did ordered authori[sz]ed approved")} \s+
      (?:for\s+)? {_PAYMENT} \s+ {any_of("myself personally")}
    | ^\W* (?:{any_of("yes no ok well i_confirm confirm that so oh")}\W+)* i (?:'ve|\s+have)? \s+ (?:\w+\s+)?
      {any_of("made did authori[sz]ed know")} \s+ {_PAYMENT} \b
    | i \s+ (?:do\s+|now\s+|just\s+)? {any_of("recogni[sz]e remember recall")} \s+ (?:now\s+)? {_PAYMENT} )""",
    _FLAGS,
)
_ASIDE = r"(?:\s+(?:yet|been|already|actually|really|just|even|ever|got|being|still|so|far))*"
# How things are or were, in the negative: "you have not blocked it", "isn't it blocked", "I didn't block it".
_REPORT = re.compile(
    rf"""\b(?: (?: {any_of("nothing none neither nobody no_one no_cards?")} (?:\s+[\w:.-]+){{0,3}}? \s+
          {any_of("has have had is are was were")}
        | {any_of("have has had is are was were am")} (?:\s+[\w:.-]+){{0,3}}? \s+ not
        | {
        any_of("haven't hasn't hadn't isn't aren't wasn't weren't")
    } (?:\s+(?:you|it|my|the|card|anyone|they|this))* )
      {_ASIDE} \s+ {
        any_of(
            "blocked frozen locked stopped cancell?ed disabled deactivated closed shut opened raised filed "
            "reported escalated disputed changed touched checked done"
        )
    }
    | shouldn't (?:\s+[\w:.-]+){{1,3}}? \s+ (?:be|have\s+been) {_ASIDE} \s+ (?:{CHANGE})
    | {any_of("they he she shop seller merchant store hotel company")} \s+
      {
        any_of(
            "would_not wouldn't will_not won't do_not don't does_not doesn't could_not couldn't can_not can't cannot"
        )
    }
      \s+ {CHANGE}
    | {any_of("nobody no_one none_of_you")} {_ASIDE} \s+
      {any_of("blocked froze locked stopped opened raised filed disputed changed touched did")}
    | (?:neither|nor) \s+ (?:[\w:.-]+\s+){{1,4}}? (?:blocked|froze|locked|stopped|disputed|opened)
    | (?: did (?:\s+[\w:.-]+){{0,3}}? \s+ not | didn't (?:\s+(?:you|i|we|they|anyone|somebody|someone|he|she))? ) {
        _ASIDE
    } \s+
      (?:{CHANGE}|{_STEP})
    )\b""",
    _FLAGS,
)
# ... unless that is what is wished for: "make sure that it is not blocked", "I would rather you did not block it".
_WISHED = re.compile(
    rf"""\b{any_of("make_sure be_sure ensure see_to_it rather prefer wish hope insist important glad grateful")}\b""",
    _FLAGS,
)
# Negations that ask for the change: "don't hesitate to block it", "don't leave it open", "no reason not to block it".
_NO_BAN = re.compile(
    rf"""\b(?: (?:do\s+not|don't|never) \s+ {any_of("forget hesitate wait worry mind leave keep let")}
    | (?:why|reason|objection|point) \s+ (?:\w+\s+)? not \s+ to | not \s+ only
    | {any_of("nothing not no")} \s+ (?:\w+\s+){{0,2}} {any_of("against opposed objections? hesitation")}
    | {any_of("never didn't did_not")} \s+ {any_of("say said tell told ask asked mean meant")} \s+ (?:\w+\s+){{0,4}}
      (?:not|\w+n't)
    )\b""",
    _FLAGS,
)


def forbids_a_change(clause: str) -> bool:
    """Whether ``clause`` says that something is not to be changed, or no longer, or that there is no cause to."""
    if _WITHDRAWAL.search(clause) or _OWN.search(clause):
        return True
    told = clause if _WISHED.search(clause) else _REPORT.sub(" ", clause)
    return _BAN.search(told) is not None and _NO_BAN.search(clause) is None
