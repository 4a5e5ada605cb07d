"""Guardrails: what is evaluated here is evaluated for real, and what is not is refused instead of let through.

The engine evaluates custom words, regular expressions and the kinds of personal data that have a pattern, and passes
over every other policy in silence, so that a text which AWS would block comes back as clean. Denied topics, content
filters (hate, prompt attacks, ...), contextual grounding, automated reasoning, managed word lists and entities without
a pattern (names, addresses) need models that are not here: ApplyGuardrail and InvokeAgent with such a guardrail answer
ValidationException. https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-components.html
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.services import bedrock, bedrock_runtime

from local.overlay.agent_definition import Agent
from local.overlay.agent_orchestration import Guarded
from local.overlay.authorization import Response, refusal_of_role
from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.service_routes import ServiceError

_NOT_HERE = {
    "TopicPolicy": "denied topics",
    "ContentPolicy": "content filters",
    "ContextualGroundingPolicy": "contextual grounding",
    "AutomatedReasoningPolicy": "automated reasoning",
}


def install(_engine: Engine) -> None:
    apply_guardrail: Callable[..., Response] = original(bedrock_runtime, "_apply_guardrail")

    def apply(identifier: str, version: str, body: bytes) -> Response:
        record = original(bedrock_runtime, "_resolve_guardrail")(identifier, version)
        missing = sorted(_unevaluated(record)) if record else []
        if missing:
            message = f"The local Bedrock does not evaluate {', '.join(missing)} of guardrail {identifier}."
            answered = {"Content-Type": "application/json", "x-amzn-errortype": "ValidationException"}
            return 400, answered, json.dumps({"message": message}).encode()
        return apply_guardrail(identifier, version, body)

    replace(bedrock_runtime, "_apply_guardrail", apply)
    _name_as_aws_does()


def _name_as_aws_does() -> None:
    """Identifiers of AWS's form: the engine's ("gr-...") is one that AWS's own model of the API does not take."""
    create: Callable[[bytes], Response] = original(bedrock, "_create_guardrail")

    def create_guardrail(body: bytes) -> Response:
        status, headers, answered = create(body)
        if status >= 400:
            return status, headers, answered
        named = json.loads(answered)["guardrailId"]
        renamed = named.replace("-", "")
        arn = bedrock._guardrails[named]["GuardrailArn"]
        record = bedrock._guardrails.pop(named)
        record |= {"GuardrailId": renamed, "GuardrailArn": arn.replace(named, renamed)}
        bedrock._guardrails[renamed] = record
        if arn in bedrock._tags:
            bedrock._tags[record["GuardrailArn"]] = bedrock._tags.pop(arn)
        return status, headers, answered.replace(named.encode(), renamed.encode())

    replace(bedrock, "_create_guardrail", create_guardrail)


def guard(agent: Agent, source: str, text: str) -> Guarded:
    """``text`` after the agent's guardrail, if it has one; ``source`` is INPUT or OUTPUT. Raises ServiceError."""
    if agent.guardrail is None or not text:
        return Guarded(text, blocked=False, assessment=None)
    identifier = agent.guardrail.identifier
    arn = identifier if identifier.startswith("arn:") else agent.arn.replace(f"agent/{agent.agent_id}", _named(agent))
    refusal = refusal_of_role(agent.role_arn, "bedrock.amazonaws.com", "bedrock:ApplyGuardrail", arn, agent.arn)
    if refusal:
        raise ServiceError("AccessDeniedException", 403, f"Access denied when calling Bedrock. {refusal}")
    request = json.dumps({"source": source, "content": [{"text": {"text": text}}]}).encode()
    status, _, body = original(bedrock_runtime, "_apply_guardrail")(identifier, agent.guardrail.version, request)
    answer = json.loads(body)
    if status >= 400:
        raise ServiceError("ValidationException", 400, answer["message"])
    if answer["action"] != "GUARDRAIL_INTERVENED":
        return Guarded(text, blocked=False, assessment=answer)
    said = answer["outputs"][0]["text"]
    return Guarded(said, blocked=_blocks(answer["assessments"]), assessment=answer)


def _named(agent: Agent) -> str:
    return f"guardrail/{agent.guardrail.identifier}" if agent.guardrail else ""


def _blocks(assessments: Any) -> bool:
    """Whether a finding blocks: one that masks lets the rest of the text go on."""
    return '"BLOCKED"' in json.dumps(assessments)


def _unevaluated(record: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _NOT_HERE.items():
        if record.get(name):
            yield words
    if (record.get("WordPolicy") or {}).get("managedWordListsConfig"):
        yield "managed word lists"
    known = original(bedrock_runtime, "_PII_PATTERNS")
    for entity in (record.get("SensitiveInformationPolicy") or {}).get("piiEntitiesConfig") or []:
        if entity["type"] not in known:
            yield f"entity {entity['type']}"
