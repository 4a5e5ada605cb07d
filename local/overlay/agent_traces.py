"""The trace of an agent's invocation: each step in the words of botocore's model of ``bedrock-agent-runtime``.

Not an overlay by itself. https://docs.aws.amazon.com/bedrock/latest/userguide/trace-events.html; every function gives
the content of one ``Trace``, to be wrapped in a TracePart by whoever knows the session.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from local.overlay.agent_definition import Function

type Trace = dict[str, Any]


def model_asked(trace_id: str, model_id: str, request: Mapping[str, Any]) -> Trace:
    inference = request["inferenceConfig"]
    return _step(
        "modelInvocationInput",
        traceId=trace_id,
        type="ORCHESTRATION",
        foundationModel=model_id,
        inferenceConfiguration={
            "temperature": inference["temperature"],
            "maximumLength": inference["maxTokens"],
        },
        text=json.dumps({"system": request["system"], "messages": request["messages"]}, ensure_ascii=False),
    )


def model_answered(trace_id: str, answer: Mapping[str, Any]) -> Trace:
    usage = {name: answer["usage"][name] for name in ("inputTokens", "outputTokens")}
    return _step(
        "modelInvocationOutput",
        traceId=trace_id,
        rawResponse={"content": json.dumps(answer, ensure_ascii=False)},
        metadata={"usage": usage},
    )


def rationale(trace_id: str, text: str) -> Trace:
    return _step("rationale", traceId=trace_id, text=text)


def action_called(
    trace_id: str, function: Function, parameters: Sequence[Mapping[str, str]], invocation_id: str = ""
) -> Trace:
    called: dict[str, Any] = {
        "actionGroupName": function.action_group,
        "function": function.name,
        "parameters": list(parameters),
        "executionType": "RETURN_CONTROL" if invocation_id else "LAMBDA",
    }
    if invocation_id:
        called["invocationId"] = invocation_id
    return _step("invocationInput", traceId=trace_id, invocationType="ACTION_GROUP", actionGroupInvocationInput=called)


def action_answered(trace_id: str, text: str) -> Trace:
    return _step("observation", traceId=trace_id, type="ACTION_GROUP", actionGroupInvocationOutput={"text": text})


def reprompted(trace_id: str, source: str, text: str) -> Trace:
    """``source``: ACTION_GROUP where a function asked for it, PARSER where the model's call could not be made."""
    return _step("observation", traceId=trace_id, type="REPROMPT", repromptResponse={"source": source, "text": text})


def knowledge_base_asked(trace_id: str, knowledge_base_id: str, text: str) -> Trace:
    looked_up = {"knowledgeBaseId": knowledge_base_id, "text": text}
    return _step(
        "invocationInput", traceId=trace_id, invocationType="KNOWLEDGE_BASE", knowledgeBaseLookupInput=looked_up
    )


def knowledge_base_answered(trace_id: str, references: Sequence[Mapping[str, Any]]) -> Trace:
    found = {"retrievedReferences": list(references)}
    return _step("observation", traceId=trace_id, type="KNOWLEDGE_BASE", knowledgeBaseLookupOutput=found)


def finished(trace_id: str, text: str) -> Trace:
    return _step("observation", traceId=trace_id, type="FINISH", finalResponse={"text": text})


def guarded(trace_id: str, source: str, answer: Mapping[str, Any]) -> Trace:
    """What a guardrail found in the input or the output (``source``: INPUT or OUTPUT), from ApplyGuardrail's answer."""
    intervened = "INTERVENED" if answer["action"] == "GUARDRAIL_INTERVENED" else "NONE"
    assessments = "inputAssessments" if source == "INPUT" else "outputAssessments"
    return {"guardrailTrace": {"traceId": trace_id, "action": intervened, assessments: answer["assessments"]}}


def failed(reason: str, status: int) -> Trace:
    return {"failureTrace": {"traceId": uuid4().hex[:16], "failureReason": reason, "failureCode": status}}


def _step(kind: str, **content: Any) -> Trace:
    return {"orchestrationTrace": {kind: content}}
