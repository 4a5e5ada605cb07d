"""An AgentCore harness spoken to in the words of ConverseStream, for the length of one answer.

Protocol: Amazon Bedrock AgentCore, InvokeHarness.
https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference/API_InvokeHarness.html

The first call of a turn says all that was said before; each later one only what is new: the assistant's message with
its tool uses and the user's with their results. Both are needed, as the harness does not keep a turn that stopped at an
inline function. Results go as text: the harness takes no JSON in them.

What fails inside the harness is a RuntimeClientError that quotes the SDK there ("An error occurred
(ThrottlingException) when calling the ConverseStream operation: ..."). The error that it quotes is raised instead, so
that whoever judges errors sees the one that happened; one that quotes nothing is a fault of the harness, an
InternalServerException.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

_QUOTED_ERROR = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation")
_RUNTIME_ERROR = "RuntimeClientError"


@dataclass(slots=True)
class HarnessTurn:
    """The harness ``harness_arn`` behind ``client`` (boto3 "bedrock-agentcore"), in the session ``session_id``.

    ``session_id``: 33 to 100 characters of [A-Za-z0-9_-], not used before.
    """

    client: Any
    harness_arn: str
    session_id: str
    _said: int = field(default=0, init=False)

    def converse_stream(self, **request: Any) -> dict[str, Any]:
        """The answer to a ConverseStream request whose ``messages`` begin with those of the request before.

        The harness's own model answers, with its own temperature, whatever the request names. Raises ClientError and
        BotoCoreError as a ``bedrock-runtime`` client does, also out of the stream.
        """
        messages = request["messages"]
        tools = [tool["toolSpec"] for tool in request["toolConfig"]["tools"]]
        try:
            answer = self.client.invoke_harness(
                harnessArn=self.harness_arn,
                runtimeSessionId=self.session_id,
                messages=[_message(message) for message in messages[self._said :]],
                systemPrompt=request["system"],
                tools=[_inline_function(tool) for tool in tools],
                allowedTools=_only(tools),
                maxTokens=request["inferenceConfig"]["maxTokens"],
            )
        except ClientError as failed:
            raise _quoted(failed) from failed
        self._said = len(messages)
        return {"stream": _events(answer["stream"])}


def _inline_function(tool: Mapping[str, Any]) -> dict[str, Any]:
    inline = {"description": tool["description"], "inputSchema": tool["inputSchema"]["json"]}
    return {"type": "inline_function", "name": tool["name"], "config": {"inlineFunction": inline}}


def _only(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """An allow list of these tools, without which a harness has a shell and a file system too.

    Both forms of a name: the documentation shows a plain one for built-in tools and ``@`` for those of a server, and
    does not say which is an inline function's.
    """
    return [form for tool in tools for form in (tool["name"], f"@{tool['name']}")]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": message["role"], "content": [_block(block) for block in message["content"]]}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    if "toolResult" not in block:
        return dict(block)
    result = block["toolResult"]
    content = [{"text": json.dumps(part["json"])} if "json" in part else part for part in result["content"]]
    return {"toolResult": {**result, "content": content}}


def _events(stream: Any) -> Iterator[dict[str, Any]]:
    """The harness's events as ConverseStream's, with content blocks numbered anew: a number may come twice."""
    numbers: dict[int, int] = {}
    begun = 0
    try:
        with closing(stream):
            for event in stream:
                if "runtimeClientError" in event:
                    raise _failure(event["runtimeClientError"].get("message", ""))
                kind, content = next(iter(event.items()))
                if "contentBlockIndex" not in content:
                    yield event
                    continue
                index = content["contentBlockIndex"]
                if kind == "contentBlockStart" or index not in numbers:
                    numbers[index], begun = begun, begun + 1
                yield {kind: {**content, "contentBlockIndex": numbers[index]}}
                if kind == "contentBlockStop":
                    del numbers[index]
    except ClientError as failed:
        raise _quoted(failed) from failed


def _quoted(failed: ClientError) -> ClientError:
    error = failed.response.get("Error", {})
    code = error.get("Code", "")
    return _failure(error.get("Message", "")) if code[:1].upper() + code[1:] == _RUNTIME_ERROR else failed


def _failure(said: str) -> ClientError:
    quoted = _QUOTED_ERROR.search(said)
    code = quoted[1] if quoted else "InternalServerException"
    return ClientError({"Error": {"Code": code, "Message": said}}, "InvokeHarness")
