"""What a Bedrock agent's answer stream says: words, the tools that it used, and what it wants a yes for.

https://docs.aws.amazon.com/bedrock/latest/userguide/trace-events.html
https://docs.aws.amazon.com/bedrock/latest/userguide/agents-returncontrol.html

Tools are known from the trace only: an invocationInput is their beginning, the observation after it their end. The
trace's wording is not a contract, so nothing here depends on rationales or prompts.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_port import Citation, Progress, ToolCall, ToolResult, citations_of, progress_of
from agent_tools_client import AWAY, read_result
from backbone.tool_catalogue import TOOLS, find_tool

# A knowledge base's own metadata of a passage.
_SOURCE, _CHUNK = "x-amz-bedrock-kb-source-uri", "x-amz-bedrock-kb-chunk-id"
_PAGE = "x-amz-bedrock-kb-document-page-number"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A model's call inside the agent; ``profile`` as in ``agent_port.Reply``."""

    model_id: str
    input_tokens: int
    output_tokens: int
    profile: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function that the agent wants run or confirmed, by the action group that it is in."""

    action_group: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Returned:
    """A returnControl event: the agent waits, under ``invocation_id``, until all that is wanted is answered."""

    invocation_id: str
    wanted: tuple[Wanted, ...]


class AgentReading:
    """What of a stream was received so far. Pieces of text go to ``on_text``, tools that begin and end to ``on_tool``.

    ``confirmed`` is what the agent was just told yes to: its observation counts also where its beginning is not traced.
    """

    def __init__(
        self,
        on_text: Callable[[str], None],
        on_tool: Callable[[str, Progress], None],
        on_model_call: Callable[[ModelCall], None],
        confirmed: Wanted | None = None,
    ) -> None:
        self.pieces: list[str] = []
        self.calls: list[ToolCall] = []
        self.returned: Returned | None = None
        self.withheld = False
        self.model_calls: list[ModelCall] = []
        self._passages: list[Citation] = []
        self._under_way: deque[Wanted] = deque()
        self._confirmed = confirmed
        self._model_id = ""
        self._on_text, self._on_tool, self._on_model_call = on_text, on_tool, on_model_call

    @property
    def is_whole(self) -> bool:
        """Whether the agent has said what it had to say: an answer, or what it waits for."""
        return bool(self.pieces) or self.returned is not None

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages that tools and knowledge bases found, each once."""
        return tuple(dict.fromkeys([*citations_of(self.calls), *self._passages]))

    def take(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"chunk": chunk}:
                self._say(chunk)
            case {"returnControl": control}:
                inputs = [member["functionInvocationInput"] for member in control["invocationInputs"]]
                wanted = tuple(_wanted(one["actionGroup"], one) for one in inputs)
                self.returned = Returned(control["invocationId"], wanted)
            case {"trace": {"trace": trace}}:
                for step in trace.values():
                    self._note(step)

    @property
    def spoken(self) -> str:
        """The agent's words."""
        return "".join(self.pieces)

    def give_up_tools(self) -> bool:
        """Ends the tools that are still under way as failed; whether there were any."""
        stopped = list(self._under_way)
        for _ in stopped:
            self._end_tool(ToolResult("failed", (AWAY,)))
        return bool(stopped)

    def _say(self, chunk: Mapping[str, Any]) -> None:
        piece = chunk.get("bytes", b"").decode()
        self.pieces.append(piece)
        self._on_text(piece)
        for citation in (chunk.get("attribution") or {}).get("citations", ()):
            self._passages += map(_passage, citation.get("retrievedReferences", ()))

    def _note(self, step: Mapping[str, Any]) -> None:
        match step:
            case {"modelInvocationInput": asked}:
                self._model_id = asked.get("foundationModel", self._model_id)
            case {"modelInvocationOutput": answered}:
                self._note_model_call(answered)
            case {"invocationInput": {"actionGroupInvocationInput": begun}}:
                self._begin_tool(begun)
            case {"observation": {"actionGroupInvocationOutput": ended}}:
                self._end_tool(_result(ended.get("text", "")))
            case {"observation": {"repromptResponse": {"source": "ACTION_GROUP", "text": text}}}:
                self._end_tool(ToolResult("failed", (text,)))
            case {"action": "INTERVENED"}:
                self.withheld = True

    def _note_model_call(self, answered: Mapping[str, Any]) -> None:
        usage = (answered.get("metadata") or {}).get("usage") or {}
        profile = _profile((answered.get("rawResponse") or {}).get("content", ""))
        call = ModelCall(self._model_id, usage.get("inputTokens", 0), usage.get("outputTokens", 0), profile)
        self.model_calls.append(call)
        self._on_model_call(call)

    def _begin_tool(self, begun: Mapping[str, Any]) -> None:
        if begun.get("executionType") == "RETURN_CONTROL":
            return  # told by the returnControl event
        self._start(_wanted(begun["actionGroupName"], begun))

    def _start(self, tool: Wanted) -> None:
        self._confirmed = None
        self._under_way.append(tool)
        self._on_tool(tool.name, "started")

    def _end_tool(self, result: ToolResult) -> None:
        if not self._under_way and self._confirmed is not None:
            self._start(self._confirmed)
        if not self._under_way:
            return  # the observation of a change that was denied: it never began
        tool = self._under_way.popleft()
        self.calls.append(ToolCall(tool.name, tool.arguments, result))
        self._on_tool(tool.name, progress_of(result))


def _wanted(action_group: str, said: Mapping[str, Any]) -> Wanted:
    return Wanted(action_group, said["function"], _arguments(said["function"], said.get("parameters") or ()))


def _arguments(tool: str, parameters: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """The arguments with whole numbers as numbers: the service writes every value as text."""
    spec = find_tool(tool, TOOLS)
    whole = {parameter.name for parameter in (spec.parameters if spec else ()) if parameter.type == "integer"}
    return {
        said["name"]: int(said["value"]) if said["name"] in whole and said["value"].isdecimal() else said["value"]
        for said in parameters
    }


def _result(text: str) -> ToolResult:
    try:
        return read_result(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ToolResult("failed", (AWAY,), text=text)


def _passage(reference: Mapping[str, Any]) -> Citation:
    metadata = reference.get("metadata") or {}
    source = str(metadata.get(_SOURCE) or (reference.get("location") or {}).get("s3Location", {}).get("uri", ""))
    page = metadata.get(_PAGE)
    return Citation(
        document_id=source,
        file_name=source.rpartition("/")[2],
        passage=str(metadata.get(_CHUNK, "")),
        page=None if page is None else int(page),
        text=(reference.get("content") or {}).get("text", ""),
    )


def _profile(raw: str) -> str | None:
    """The local model that answered: the embedded AWS quotes Converse's answer, AWS the model's own text."""
    try:
        profile = json.loads(raw)["additionalModelResponseFields"]["localProfile"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(profile)
