"""Analysts who know the truth approve what is right, turn down what is wrong, and leave other cases alone."""

from typing import Any

from local.analysts import decide_by_truth
from local.approvals import Approvals

WAITING = [
    {"actionId": "1", "caseId": "fraud", "action": "block_card"},
    {"actionId": "2", "caseId": "fraud", "action": "release_transaction"},
    {"actionId": "3", "caseId": "genuine", "action": "refund"},
    {"actionId": "4", "caseId": "genuine", "action": "release_transaction"},
    {"actionId": "5", "caseId": "somebody else's", "action": "refund"},
    {"actionId": "6", "action": "block_card"},
    {"actionId": "over", "caseId": "fraud", "action": "refund"},
]


def call(method: str, url: str, token: str, body: Any = None) -> tuple[int, Any]:
    """The approvals' API: four eyes on the first action, and one action that is over when it is looked at."""
    action_id = url.rpartition("/")[2]
    if method == "GET":
        return (409, {"error": "over"}) if action_id == "over" else (200, {"actions": WAITING, **seen(action_id)})
    assert body["note"] == "By the truth."
    if (action_id, token) == ("1", "anna"):
        return 200, {"status": "half_approved"}
    return 200, {"status": {"approve": "approved", "reject": "rejected"}[body["decision"]]}


def seen(action_id: str) -> dict[str, str]:
    return {"actionId": action_id, "seen": "d1"}


def test_what_is_right_is_approved_and_what_is_wrong_is_rejected() -> None:
    desks = [Approvals(call, "https://api/approvals", name) for name in ("anna", "ben")]
    decided = decide_by_truth(desks, {"fraud": True, "genuine": False}, "By the truth.")
    assert [(action["actionId"], status) for action, status in decided] == [
        ("1", "approved"),
        ("2", "rejected"),
        ("3", "rejected"),
        ("4", "approved"),
        ("over", None),
    ]
