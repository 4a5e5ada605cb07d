"""What a model writes as arguments becomes exactly the catalogue's types, or a refusal in words."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.tool_catalogue import TOOLS, ToolSpec, find_tool
from tool_arguments import ArgumentRefusedError, read_arguments

ANYTHING = st.one_of(st.text(max_size=600), st.integers(), st.none(), st.booleans(), st.floats(), st.lists(st.text()))
NAMES = st.one_of(
    st.sampled_from(sorted({one.name for tool in TOOLS for one in tool.parameters} | {"customerId", "role"})),
    st.text(max_size=20),
)


def the(name: str) -> ToolSpec:
    tool = find_tool(name)
    assert tool is not None
    return tool


@settings(deadline=None)
@given(tool=st.sampled_from(TOOLS), pairs=st.lists(st.tuples(NAMES, ANYTHING), max_size=6))
def test_arguments_are_the_catalogues_or_refused_in_a_sentence(tool: ToolSpec, pairs: list[tuple[str, object]]) -> None:
    try:
        arguments = read_arguments(tool, pairs)
    except ArgumentRefusedError as refused:
        said_why = str(refused)
    else:
        said_why = ""
    if said_why:
        assert said_why.endswith(".")
        return
    parameters = {one.name: one for one in tool.parameters}
    assert arguments.keys() <= parameters.keys()
    assert {one.name for one in tool.parameters if one.required} <= arguments.keys()
    for name, value in arguments.items():
        parameter = parameters[name]
        assert type(value) is (int if parameter.type == "integer" else str)
        if isinstance(value, int):
            assert parameter.minimum is not None
            assert parameter.maximum is not None
            assert parameter.minimum <= value <= parameter.maximum
            continue
        assert value == value.strip()
        assert 1 <= len(value) <= 500
        assert value.isprintable()
        assert not parameter.enum or value in parameter.enum
        if name.endswith("Id"):
            assert set(value) <= set(string.ascii_letters + string.digits + "_.:-")


@settings(deadline=None)
@given(
    days=st.integers(1, 90),
    flagged=st.sampled_from(["true", "false", "True"]),
    card=st.from_regex(r"\A[A-Z0-9-]{1,64}\Z"),
)
def test_what_the_catalogue_allows_is_read(days: int, flagged: str, card: str) -> None:
    pairs: list[tuple[str, object]] = [("days", str(days)), ("onlyFlagged", flagged), ("cardId", f" {card} ")]
    assert read_arguments(the("list_transactions"), pairs) == {
        "days": days,
        "onlyFlagged": flagged.lower(),
        "cardId": card,
    }


@pytest.mark.parametrize("days", ["0", "91", "-7", "7.5", "seven", "\uff17", "1e1", "9" * 30])
def test_days_out_of_bounds_are_refused(days: str) -> None:
    with pytest.raises(ArgumentRefusedError, match=r"^days is a whole number from 1 to 90\.$"):
        read_arguments(the("list_transactions"), [("days", days)])


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([("reason", "lost")], "block_card needs cardId: The id of the card to block."),
        ([("cardId", "CARD-1"), ("reason", "")], "block_card needs reason: Why: lost"),
        ([("cardId", "CARD-1"), ("reason", "bored")], "reason is one of lost, stolen, fraud, other."),
        ([("cardId", "CARD-1' OR 1=1"), ("reason", "lost")], "cardId is not an id;"),
        ([("cardId", "CARD-1"), ("cardId", "CARD-2"), ("reason", "lost")], "cardId was given twice; give it once."),
        ([("cardId", True), ("reason", "lost")], "cardId is neither a text nor a whole number."),
        ([("approved", "true")], "block_card takes no argument of that name; it takes cardId, reason."),
        ([("cardId", "C" * 501), ("reason", "lost")], "cardId is longer than 500 characters; say it shorter."),
    ],
)
def test_refusal_says_what_is_wrong(pairs: list[tuple[str, object]], why: str) -> None:
    with pytest.raises(ArgumentRefusedError) as refused:
        read_arguments(the("block_card"), pairs)
    assert str(refused.value).startswith(why)


def test_control_and_direction_changing_characters_do_not_reach_a_case() -> None:
    pairs = [("subject", "Refund\u202e\x00\nplease")]
    assert read_arguments(the("open_case"), pairs) == {"subject": "Refund please"}
