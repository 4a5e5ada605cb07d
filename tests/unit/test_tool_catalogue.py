"""The catalogue of tools: whole, within what the services take, and telling a model no customer's id to fill in."""

import re

import fastjsonschema
import pytest

from backbone.tool_catalogue import INVESTIGATION_TOOLS, TOOLS, ToolSpec, find_tool, input_schema, tool_config

EVERY_TOOL = (*TOOLS, *INVESTIGATION_TOOLS)


def test_tools_are_those_of_the_contract() -> None:
    assert [tool.name for tool in TOOLS] == [
        "list_cards",
        "list_transactions",
        "explain_flag",
        "search_documents",
        "open_case",
        "block_card",
    ]
    assert [tool.name for tool in TOOLS if tool.changes] == ["open_case", "block_card"]


def test_no_tool_asks_whose_affairs_it_is_about() -> None:
    names = {parameter.name for tool in EVERY_TOOL for parameter in tool.parameters}
    assert names.isdisjoint({"customerId", "personId", "role", "conversationId", "approved"})


@pytest.mark.parametrize("tool", EVERY_TOOL, ids=lambda tool: tool.name)
def test_tool_fits_the_bounds_of_converse_and_of_an_action_group(tool: ToolSpec) -> None:
    """API_runtime_ToolSpecification, API_agent_Function, API_agent_ParameterDetail; five parameters a function."""
    assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", tool.name)
    assert 1 <= len(tool.description) <= 1_200
    assert len(tool.parameters) <= 5
    for parameter in tool.parameters:
        assert re.fullmatch("[a-zA-Z0-9]{1,64}", parameter.name)
        assert 1 <= len(parameter.description) <= 500
        for value in parameter.enum:  # an action group knows no enum: the words have to say it
            assert value in parameter.description


@pytest.mark.parametrize("tool", EVERY_TOOL, ids=lambda tool: tool.name)
def test_input_schema_has_at_its_top_what_every_model_takes_and_no_more(tool: ToolSpec) -> None:
    """Nova refuses others: docs.aws.amazon.com/nova/latest/userguide/tool-use-definition.html."""
    schema = input_schema(tool)
    assert schema.keys() == {"type", "properties", "required"}
    check = fastjsonschema.compile(schema)
    if schema["required"]:
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            check({})


def test_tool_config_lets_the_model_choose_among_all() -> None:
    config = tool_config()
    assert [one["toolSpec"]["name"] for one in config["tools"]] == [tool.name for tool in TOOLS]
    assert config["toolChoice"] == {"auto": {}}


def test_tools_of_an_investigation_are_found_but_no_chats() -> None:
    names = {tool.name for tool in INVESTIGATION_TOOLS}
    assert {"release_transaction", "refund", "review_card", "review_terminal", "review_past_cases"} <= names
    for tool in INVESTIGATION_TOOLS:
        assert (find_tool(tool.name), find_tool(tool.name, TOOLS)) == (tool, None)
    assert names.isdisjoint(one["toolSpec"]["name"] for one in tool_config()["tools"])
    assert {one["toolSpec"]["name"] for one in tool_config(INVESTIGATION_TOOLS)["tools"]} == names


def test_unknown_tool_is_none() -> None:
    assert find_tool("approve_action") is None
