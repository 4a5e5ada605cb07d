"""The Bedrock agent's action group has exactly the catalogue's tools, and asks before it changes something.

``python -m tests.template.test_tool_catalogue`` prints what belongs into template.yaml.
"""

import json
from typing import Any

from backbone.tool_catalogue import ACTION_GROUP, TOOLS, ToolSpec
from tests.sam_template import resources


def function_schema() -> dict[str, Any]:
    """The FunctionSchema of the action group: AWS::Bedrock::Agent FunctionSchema, made from the catalogue."""
    return {"Functions": [_function(tool) for tool in TOOLS]}


def _function(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {
        "Name": tool.name,
        "Description": tool.description,
        "RequireConfirmation": "ENABLED" if tool.changes else "DISABLED",
    }
    if tool.parameters:
        function["Parameters"] = {
            parameter.name: {
                "Type": parameter.type,
                "Description": parameter.description,
                "Required": parameter.required,
            }
            for parameter in tool.parameters
        }
    return function


def test_action_group_has_the_catalogues_tools_word_for_word() -> None:
    (agent,) = resources("AWS::Bedrock::Agent").values()
    (group,) = [one for one in agent["ActionGroups"] if "FunctionSchema" in one]
    assert group["ActionGroupName"] == ACTION_GROUP
    assert group["FunctionSchema"] == function_schema()


def as_yaml(indent: int) -> str:
    """The schema as template.yaml has it; texts are quoted as JSON, which YAML reads alike."""
    lines = ["FunctionSchema:", "  Functions:"]
    for function in function_schema()["Functions"]:
        lines += [
            f"    - Name: {function['Name']}",
            f"      Description: {json.dumps(function['Description'])}",
            f"      RequireConfirmation: {function['RequireConfirmation']}",
        ]
        if "Parameters" in function:
            lines.append("      Parameters:")
        for name, said in function.get("Parameters", {}).items():
            lines += [
                f"        {name}:",
                f"          Type: {said['Type']}",
                f"          Description: {json.dumps(said['Description'])}",
                f"          Required: {str(said['Required']).lower()}",
            ]
    return "\n".join(" " * indent + line for line in lines)


if __name__ == "__main__":
    print(as_yaml(10))  # noqa: T201 - to be copied into template.yaml
