"""The light profile's investigator: the next move of an investigation, decided from the text of its prompt.

1. The prompt's facts are read as numbers (``investigation_facts``).
2. They give a probability of fraud (``investigator_model``). From ``high`` on the card is proposed to be blocked; up to
   ``low`` the transaction is released; but not before one look-up at least, for the flag is what is to be checked.
3. Between them the look-up is made that is expected to tell most; none where none is likely to reach a bound.
4. What nobody can look up any more, what was refused, rejected or expired, and what cannot be read, a person decides.

It chooses among the moves and names the facts that the schema allows, and nothing else.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.models.investigation_facts import Briefing, read_briefing
from local.models.investigator_model import Estimate, InvestigatorModel, trained

BLOCK, REFUND, RELEASE, ASK = "block_card", "refund", "release_transaction", "ask_person"
FRAUD, GENUINE = "verdict_confirmed_fraud", "verdict_genuine"
_WENT_WRONG = frozenset({"refused", "rejected", "expired"})
# What comes after a change that went well, in this order, as far as it is offered.
_AFTER = {BLOCK: (REFUND, FRAUD), REFUND: (FRAUD,), RELEASE: (GENUINE,)}
# A look-up can matter where the nearer bound is within so many standard deviations of what it is expected to change.
_REACH = 3
_MOST_TOLD = 3
_LEAST_TOLD = 0.1  # log odds: a tenth more or less likely
_SHAPE = {"reasoning": "string", "evidence": "array", "move": "string"}

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """The next move, why, and the ids of the facts that speak; ``probability`` of fraud, where there is an estimate."""

    move: str
    reasoning: str
    evidence: tuple[str, ...] = ()
    probability: float | None = None


def asks_for_next_move(schema: Mapping[str, Any]) -> bool:
    """Whether the JSON Schema ``schema`` is that of ``next_move``: reasoning, evidence among ids, a move among some.

    A person can always be asked: where that is no move, nothing here decides.
    """
    properties = schema.get("properties")
    return (
        isinstance(properties, Mapping)
        and {name: _at(one, "type") for name, one in properties.items()} == _SHAPE
        and ASK in (_at(properties["move"], "enum") or ())
        and isinstance(_at(properties["evidence"], "items", "enum"), list | None)
    )


def next_move(text: str, schema: Mapping[str, Any]) -> Json:
    """What the schema of ``next_move`` asks for, from the prompt ``text``."""
    properties = schema["properties"]
    moves: list[str] = properties["move"]["enum"]
    ids: list[str] = _at(properties["evidence"], "items", "enum") or []
    move = consider(text, ids, moves, trained())
    return {"reasoning": move.reasoning, "evidence": list(move.evidence), "move": move.move}


def consider(text: str, ids: Sequence[str], moves: Sequence[str], model: InvestigatorModel) -> Move:
    """The next move among ``moves``, from what ``text`` says in the facts ``ids``; the first where none says anything.

    (An answer names a fact at least, where there are any: the schema may ask for that.)
    """
    briefing = read_briefing(text, ids)
    values = {name: quantity.value for name, quantity in briefing.quantities.items()}
    made = [move for move, _ in briefing.done]
    if not values:
        return Move(ASK, "The facts hold no number that can be weighed, so a person must look.", tuple(ids[:1]))
    estimate = model.estimate(values, made)
    grounds, evidence = _grounds(briefing, estimate)
    move, why = _what_next(briefing, moves, model, values, estimate)
    if move not in moves:
        move, why = ASK, f"{why} But {move} is not offered, so a person must look."
    begin = f"Among flagged transactions like this one, the share of frauds is estimated at {estimate.probability:.3f}."
    reasoning = " ".join(filter(None, (begin, grounds, why)))
    named = tuple(one for one in ids if one in evidence) or tuple(ids[:1])
    return Move(move, reasoning, named, estimate.probability)


def choose(probability: float, gains: Mapping[str, float], low: float, high: float, made: Collection[str]) -> str:
    """A look-up of ``gains`` (those that could be made, and what they are worth), or BLOCK, RELEASE or ASK.

    ``made``: the look-ups so far.
    """
    best = max(sorted(gains), key=lambda name: gains[name], default=None)
    if best is not None and not made:
        return best
    if probability >= high:
        return BLOCK
    if probability <= low:
        return RELEASE
    nearest = min(high - probability, probability - low)
    return best if best is not None and nearest <= _REACH * math.sqrt(gains[best]) else ASK


def _what_next(
    briefing: Briefing,
    moves: Collection[str],
    model: InvestigatorModel,
    values: Mapping[str, float],
    estimate: Estimate,
) -> tuple[str, str]:
    """The move, and why, in a sentence."""
    wrong = next((f"{move} was {outcome}" for move, outcome in briefing.done if outcome in _WENT_WRONG), None)
    if wrong:
        return ASK, f"A person must look, because {wrong}."
    changed = next(((move, outcome) for move, outcome in reversed(briefing.done) if move in _AFTER), None)
    if changed:
        move, outcome = changed
        after = next((one for one in _AFTER[move] if one in moves), ASK)
        return after, f"As {move} was {outcome}, {_IN_WORDS[after]}."
    made = [move for move, _ in briefing.done if move in model.look_ups]
    gains = {name: gain for name, gain in model.gains(values, made).items() if name in moves}
    move = choose(estimate.probability, gains, model.low, model.high, made)
    if move in gains:
        return move, f"Of what can be looked up, {move} is likely to tell most."
    bounds = {
        BLOCK: f"From {model.high:g} on the card is proposed to be blocked.",
        RELEASE: f"Up to {model.low:g} the transaction is released.",
        ASK: f"Between {model.low:g} and {model.high:g} a person decides; no look-up is likely to change that.",
    }
    return move, bounds[move]


_IN_WORDS = {
    REFUND: "the amount is to be refunded",
    FRAUD: "the fraud stands confirmed",
    GENUINE: "the transaction stands as genuine",
    ASK: "a person must look: nothing that follows from it is offered",
}


def _grounds(briefing: Briefing, estimate: Estimate) -> tuple[str, set[str]]:
    """What speaks for and against fraud most, in the facts' own numbers, and the facts that say so."""
    parts: dict[tuple[str, str], float] = {}
    for name, quantity in briefing.quantities.items():
        # Quantities that one sentence states, such as a count and its share, speak as one.
        said = (quantity.said, quantity.fact)
        parts[said] = parts.get(said, 0.0) + estimate.parts.get(name, 0.0)
    strongest = sorted(parts, key=lambda said: (-abs(parts[said]), said))
    chosen = {
        verb: [said for said in strongest if parts[said] * sign > _LEAST_TOLD][:_MOST_TOLD]
        for verb, sign in (("For fraud speaks", 1), ("Against it speaks", -1))
    }
    sentences = [f"{verb} that {'; that '.join(one for one, _ in told)}." for verb, told in chosen.items() if told]
    return " ".join(sentences), {fact for told in chosen.values() for _, fact in told}


def _at(schema: Any, *path: str) -> Any:
    """What stands in ``schema`` at ``path``; None where nothing does."""
    for name in path:
        schema = schema.get(name) if isinstance(schema, Mapping) else None
    return schema
