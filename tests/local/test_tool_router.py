"""The light profile's tool router on its development set: which tools it chooses, with which arguments.

The set was looked at while the router was made: its figure says that nothing got worse, not how good it is on others.
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

SET = json.loads((Path(__file__).parent / "tool_router_dev.json").read_text("utf-8"))
FLOOR = 0.95


@pytest.fixture(scope="module")
def desk() -> Desk:
    specifications = [tool["toolSpec"] for tool in tool_config()["tools"]]
    tools = [
        {"function": {**one, "parameters": one["inputSchema"]["json"]}}  # a chat completion's function
        for one in specifications
    ]
    return desk_for(tools, LazyEmbeddingModel(), date.fromisoformat(SET["today"]))


def move_of(case: dict[str, Any], desk: Desk) -> Move:
    earlier = tuple(
        Exchange(one["said"], answer=one["answer"]) for one in SET["conversations"].get(case.get("after"), ())
    )
    outcomes = (outcome_of("list_cards", {}, json.dumps(cards_told(case["cards"]))),) if "cards" in case else ()
    return next_move(Conversation("", earlier, Exchange(case["said"], outcomes)), desk)


def cards_told(cards: list[list[str]]) -> dict[str, Any]:
    facts = [f"Your {label[0].lower()}{label[1:]} ({card_id}) is {status}." for card_id, label, status in cards]
    data = [{"cardId": card_id, "label": label, "status": status} for card_id, label, status in cards]
    return {"state": "done", "facts": facts, "data": {"cards": data}, "citations": []}


def chose_right(case: dict[str, Any], chosen: dict[str, dict[str, Any]]) -> bool:
    if "tools_not" in case:
        return not set(chosen) & set(case["tools_not"])
    return set(chosen) == set(case["tools"])


def filled_right(case: dict[str, Any], chosen: dict[str, dict[str, Any]]) -> bool:
    return all(
        chosen.get(tool, {}).get(name) == value
        for tool, arguments in case.get("tools", {}).items()
        for name, value in arguments.items()
    )


def test_router_chooses_tools_and_arguments_right_on_its_development_set(desk: Desk) -> None:
    wrong_tools, wrong_arguments = [], []
    for case in SET["cases"]:
        move = move_of(case, desk)
        chosen = {call.tool: call.arguments for call in move.calls}
        if not chose_right(case, chosen) or case.get("says", "") not in move.text:
            wrong_tools.append(f"{case['said']!r} -> {chosen or move.text!r}")
        elif not filled_right(case, chosen):
            wrong_arguments.append(f"{case['said']!r} -> {chosen}")
    count = len(SET["cases"])
    tools_right = count - len(wrong_tools)
    all_right = tools_right - len(wrong_arguments)
    print(f"\ntool right {tools_right}/{count}, tool and arguments right {all_right}/{count}")  # noqa: T201 - the figure
    assert all_right >= FLOOR * count, "\n".join(wrong_tools + wrong_arguments)


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
    ],
)
def test_question_or_ban_never_reaches_a_tool_that_changes_something(desk: Desk, said: str) -> None:
    calls = next_move(Conversation("", (), Exchange(said)), desk).calls
    assert not {"block_card", "open_case"} & {call.tool for call in calls}
