"""The light profile's tool router on its development sets: which tools it chooses, with which arguments.

The first set and most of the others were looked at while the router was made, and what is plain in them stands among
its examples: their figures say that nothing got worse.
Of a half "unseen" no miss was looked at: its figure says how good the router is on words that nobody tuned it to, if
they are of the same writer.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backbone.tool_catalogue import tool_config
from local.models.conversation import Conversation, Exchange, outcome_of
from local.models.embeddings import LazyEmbeddingModel
from local.models.light_chat import Move, next_move
from local.models.light_desk import Desk, desk_for

FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH = (
    json.loads((Path(__file__).parent / f"tool_router_dev{part}.json").read_text("utf-8"))
    for part in ("", "_2", "_3", "_4", "_5", "_6", "_7")
)
FLOOR = 0.95
# By set: its parts, and the least share of each that must be right.
PARTS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "second": (SECOND, {"looked-at": 0.96, "unseen": 0.93, "added": 0.96}),
    "third": (THIRD, {"looked-at": 0.97, "unseen": 0.92}),
    "fourth": (FOURTH, {"looked-at": 0.97, "unseen": 0.86}),
    "fifth": (FIFTH, {"looked-at": 0.97, "unseen": 0.89}),
    "sixth": (SIXTH, {"looked-at": 0.97, "unseen": 0.88}),
    "seventh": (SEVENTH, {"looked-at": 0.97, "unseen": 0.85}),
}


@pytest.fixture(scope="module")
def desk() -> Desk:
    specifications = [tool["toolSpec"] for tool in tool_config()["tools"]]
    tools = [
        {"function": {**one, "parameters": one["inputSchema"]["json"]}}  # a chat completion's function
        for one in specifications
    ]
    return desk_for(tools, LazyEmbeddingModel(), date.fromisoformat(FIRST["today"]))


def move_of(case: dict[str, Any], conversations: dict[str, Any], desk: Desk) -> Move:
    earlier = tuple(Exchange(one["said"], answer=one["answer"]) for one in conversations.get(case.get("after", ""), ()))
    outcomes = (outcome_of("list_cards", {}, json.dumps(cards_told(case["cards"]))),) if "cards" in case else ()
    return next_move(Conversation("", earlier, Exchange(case["said"], outcomes)), desk)


def cards_told(cards: list[list[str]]) -> dict[str, Any]:
    facts = [f"Your {label[0].lower()}{label[1:]} ({card_id}) is {status}." for card_id, label, status in cards]
    data = [{"cardId": card_id, "label": label, "status": status} for card_id, label, status in cards]
    return {"state": "done", "facts": facts, "data": {"cards": data}, "citations": []}


def chose_right(case: dict[str, Any], chosen: dict[str, dict[str, Any]]) -> bool:
    """Whether the tools are just those of the case, and at most those in "also" beside them."""
    if "tools_not" in case:
        return not set(chosen) & set(case["tools_not"])
    return set(case["tools"]) <= set(chosen) <= {*case["tools"], *case.get("also", ())}


def filled_right(case: dict[str, Any], chosen: dict[str, dict[str, Any]]) -> bool:
    return all(
        chosen.get(tool, {}).get(name) == value
        for tool, arguments in case.get("tools", {}).items()
        for name, value in arguments.items()
    )


def misses_of(cases: list[dict[str, Any]], conversations: dict[str, Any], desk: Desk) -> list[str]:
    """What was chosen for each case that came out wrong, in tools, in arguments or in words."""
    misses = []
    for case in cases:
        move = move_of(case, conversations, desk)
        chosen = {call.tool: call.arguments for call in move.calls}
        is_right = chose_right(case, chosen) and filled_right(case, chosen) and case.get("says", "") in move.text
        misses += [] if is_right else [f"{case['said']!r} -> {chosen or move.text!r}"]
    return misses


def test_router_chooses_tools_and_arguments_right_on_its_first_development_set(desk: Desk) -> None:
    misses, count = misses_of(FIRST["cases"], FIRST["conversations"], desk), len(FIRST["cases"])
    print(f"\nfirst set: right {count - len(misses)}/{count}")  # noqa: T201 - the figure
    assert len(misses) <= (1 - FLOOR) * count, "\n".join(misses)


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, (_, floors) in PARTS.items() for part in floors])
def test_router_chooses_tools_and_arguments_right_on_each_part_of_its_later_sets(
    desk: Desk, name: str, part: str
) -> None:
    document, floors = PARTS[name]
    cases = [case for case in document["cases"] if case["half"] == part]
    misses, count = misses_of(cases, document["conversations"], desk), len(cases)
    wrong = len(misses)  # by itself: of len(misses) in an assert pytest would tell the misses
    print(f"\n{name} set, {part}: right {count - wrong}/{count}")  # noqa: T201 - the figure
    told = f"{wrong} of {count} are wrong" if part == "unseen" else "\n".join(misses)
    assert wrong <= (1 - floors[part]) * count, told


@pytest.mark.parametrize(
    "said",
    [
        "is my card blocked?",
        "did you block CARD-000042?",
        "why was CARD-000042 stopped?",
        "who blocked CARD-000042",
        "tell me whether CARD-000042 is blocked",
        "do not block CARD-000042",
        "I don't want CARD-000042 blocked",
        "please don't open a case about TX-1",
        "what happens if I block CARD-000042?",
        "you blocked CARD-000042 yesterday",
        "unblock CARD-000042",
        "I never asked you to block CARD-000042",
        "leave CARD-000042 as it is",
        "keep CARD-000042 open please",
        "do not touch CARD-000042",
        "I didn't lose CARD-000042 after all, so don't block it",
        "show me my cards and block nothing",
        "what do I need for a dispute?",
        "I don't need a human",
        "forget about blocking it",
        "dont block CARD-000042",
        "I don\u2019t see why we should block CARD-000042",
        "blocking CARD-000042 won't be necessary",
        "please make sure CARD-000042 does not get blocked",
        "I forbid you to block CARD-000042",
        "my wife found the card in the washing machine",
        "I withdraw my request to block CARD-000042",
        "CARD-000042 must remain usable while I am abroad",
        "CARD-000042 is safe with me",
        "I paid TX-1 myself",
        "The payment TX-1 was done by me.",
        "I wanted to dispute TX-1 but it has been settled.",
        "You have not blocked CARD-000042, have you?",
        "neither my wife nor I blocked CARD-000042",
        "Will you block CARD-000042 automatically?",
        "good thing I didn't have to block CARD-000042",
        "we nearly blocked CARD-000042 for nothing",
        "so nobody can pay with CARD-000042 any more?",
        "I haven't opened a case about TX-1, have I?",
        "There was no theft, CARD-000042 is at home.",
        "has CARD-000042 been unblocked yet?",
        "If it happens again, block CARD-000042.",
        "Once I have talked to my wife you may block CARD-000042.",
        "before you block CARD-000042 I want to talk to my dad",
        "I have already asked the hotline to block CARD-000042",
        "Thank you for blocking CARD-000042 so fast",
        "My lawyer will open a case about TX-1 himself.",
        "We might have to block CARD-000042 one day.",
    ],
)
def test_question_or_ban_never_reaches_a_tool_that_changes_something(desk: Desk, said: str) -> None:
    calls = next_move(Conversation("", (), Exchange(said)), desk).calls
    assert not {"block_card", "open_case"} & {call.tool for call in calls}


@pytest.mark.parametrize(
    ("said", "tool"),
    [
        ("I don't have CARD-000042 any more, block it", "block_card"),
        ("My card was stolen, it is CARD-000042, cancel it.", "block_card"),
        ("not sure where CARD-000042 is, block it to be safe", "block_card"),
        ("Please don't forget to block CARD-000042, it was stolen", "block_card"),
        ("I don't want anybody to use CARD-000042, block it", "block_card"),
        ("changed my mind, do block CARD-000042", "block_card"),
        ("Stop CARD-000042, but keep CARD-000077 active", "block_card"),
        ("I did not make TX-1 so please open a case", "open_case"),
        ("They would not give me my money back for TX-1. Please open a case.", "open_case"),
        ("I made TX-1 only once but was charged twice, open a case", "open_case"),
        ("why don't you just block CARD-000042? It was stolen", "block_card"),
        ("Why not open a case about TX-1? I never made it.", "open_case"),
        ("I'd be happy if you could block CARD-000042, it is lost", "block_card"),
        ("If it isn't too much trouble, please block CARD-000042, I lost it.", "block_card"),
        ("I was wondering if you could block CARD-000042, it was stolen.", "block_card"),
        ("When I came home CARD-000042 was gone, please block it", "block_card"),
        ("I already told the police about TX-1, now I want you to open a case.", "open_case"),
    ],
)
def test_negation_of_something_else_is_no_ban(desk: Desk, said: str, tool: str) -> None:
    assert tool in {call.tool for call in next_move(Conversation("", (), Exchange(said)), desk).calls}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "said",
    [
        "a" + " " * 3_900 + "b",
        "I do not " + "want to need to have to " * 160,
        "if " * 1_300,
        "not " * 1_000,
        "the one in the big payment of the 12.50 eur " * 90,
        "nothing none you it that was not been already " * 85,
        "\n" * 3_990 + "hi",
    ],
    ids=lambda said: said[:12].strip() or "new lines",
)
def test_longest_message_that_may_be_sent_is_read_in_seconds_whatever_stands_in_it(desk: Desk, said: str) -> None:
    assert next_move(Conversation("", (), Exchange(said)), desk).kind
