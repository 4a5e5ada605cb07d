"""The tools that a model asked for in one answer: checked, run at once, and told back to it.

A tool that is not in the catalogue, or arguments that break its schema, are told back to the model as an error. A tool
that changes something is not run: it is set aside for the person's yes.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import fastjsonschema

from agent_port import Session, Sink, ToolResult, Tools, progress_of
from backbone.tool_catalogue import TOOLS, find_tool, input_schema
from converse_stream import ToolUse

# Far longer than any id or sentence that a tool wants; what waits for a yes must fit into a frame.
MAXIMUM_ARGUMENT_CHARACTERS = 500
# A model has seldom more to ask at once; each takes a connection and a thread.
_TOOLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class CheckedUses:
    """``reading`` may run now, ``changing`` wait for a yes, ``problems`` (by use id) say why a use is none."""

    reading: tuple[ToolUse, ...]
    changing: tuple[ToolUse, ...]
    problems: Mapping[str, str]


def check_uses(uses: Sequence[ToolUse]) -> CheckedUses:
    """Sorts the uses of one answer by what may become of them."""
    problems = {use.use_id: problem for use in uses if (problem := problem_with(use)) is not None}
    sound = [use for use in uses if use.use_id not in problems]
    changing = tuple(use for use in sound if _changes(use))
    return CheckedUses(tuple(use for use in sound if use not in changing), changing, problems)


def problem_with(use: ToolUse) -> str | None:
    """What speaks against the use, in words that help the model; None where nothing does."""
    check = _argument_check(use.name)
    if check is None:
        return f"There is no tool named {use.name[:64]}."
    if use.arguments is None:
        return f"The arguments of {use.name} are not a JSON object."
    try:
        check(use.arguments)
    except fastjsonschema.JsonSchemaValueException as broken:
        return f"The arguments of {use.name} are wrong: {broken.message}."
    if any(len(str(value)) > MAXIMUM_ARGUMENT_CHARACTERS for value in use.arguments.values()):
        return f"An argument of {use.name} is longer than {MAXIMUM_ARGUMENT_CHARACTERS} characters."
    return None


def run_uses(uses: Sequence[ToolUse], tools: Tools, session: Session, sink: Sink) -> dict[str, ToolResult]:
    """Runs the uses at once and tells the sink as each begins and ends; the results by use id, in the uses' order."""
    if not uses:
        return {}
    with ThreadPoolExecutor(min(_TOOLS_AT_ONCE, len(uses))) as threads:
        under_way = {}
        for use in uses:
            sink.tool(use.name, "started")
            under_way[threads.submit(tools.run, use.name, use.arguments or {}, session)] = use
        for finished in as_completed(under_way):
            sink.tool(under_way[finished].name, progress_of(finished.result()))
    return {use.use_id: finished.result() for finished, use in under_way.items()}


def told_result(use: ToolUse, result: ToolResult) -> dict[str, Any]:
    """The result as a content block for the model; a refusal is an answer, only a failure is an error."""
    content = {
        "state": result.state,
        "facts": list(result.facts),
        "data": dict(result.data),
        "citations": [
            {"documentId": one.document_id, "fileName": one.file_name, "page": one.page, "text": one.text}
            for one in result.citations
        ],
    }
    return _block(use.use_id, content, "error" if result.state == "failed" else "success")


def told_problem(use: ToolUse, problem: str) -> dict[str, Any]:
    """The problem with a use as a content block for the model."""
    return _block(use.use_id, {"state": "failed", "facts": [problem]}, "error")


def _block(use_id: str, content: Mapping[str, Any], status: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": use_id, "content": [{"json": dict(content)}], "status": status}}


def _changes(use: ToolUse) -> bool:
    tool = find_tool(use.name)
    return tool is not None and tool.changes


@functools.cache
def _argument_check(name: str) -> Callable[[object], object] | None:
    """Checks the arguments of the tool ``name``; None where there is none. Making one takes milliseconds."""
    tool = find_tool(name)
    if tool not in TOOLS:  # a chat's model that names an investigation's tool has invented it
        return None
    # Said here and not to the model: Nova takes no additionalProperties at the top of a schema.
    check: Callable[[object], object] = fastjsonschema.compile(input_schema(tool) | {"additionalProperties": False})
    return check
