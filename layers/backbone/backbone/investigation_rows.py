"""An investigation's steps in DynamoDB: one partition a case (``caseId``), the steps in order (``step``, a number).

Nothing in it expires: it says why the bank did what it did. A step is written when it is planned, and once more each
when it was acted on and when it was observed. Each write has a condition, so that a function that runs twice changes
nothing the second time.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from backbone.errors import Rejected, Retryable
from backbone.investigations import Kind, Outcome, Step, Verdict
from backbone.table_calls import Item, item_of, pages, text_of, tried, written_if


@dataclass(frozen=True, slots=True)
class InvestigationRows:
    """The table ``table`` (caseId, step) behind ``client`` (boto3 "dynamodb"). Each method raises Retryable."""

    client: Any
    table: str

    def steps(self, case_id: str) -> list[Step]:
        """All steps of a case as of now, in order."""
        query = {
            "TableName": self.table,
            "KeyConditionExpression": "caseId = :case",
            "ExpressionAttributeValues": {":case": {"S": case_id}},
            "ConsistentRead": True,
        }
        return [_step(item) for items, _ in pages(self.client, None, **query) for item in items]

    def get(self, case_id: str, number: int) -> Step | None:
        """One step as of now; None where it was not planned."""
        answer = tried(self.client.get_item, TableName=self.table, Key=_key(case_id, number), ConsistentRead=True)
        return _step(answer["Item"]) if "Item" in answer else None

    def add(self, step: Step) -> Step:
        """Keeps a planned step; answers the one that stands there, which is an earlier one where there was one."""
        item = item_of(
            {
                "caseId": step.case_id,
                "step": step.number,
                "kind": step.kind,
                "move": step.move,
                "reasoning": step.reasoning,
                "plannedAt": step.planned_at,
                "tool": step.tool,
                "arguments": json.dumps(step.arguments, sort_keys=True),
                "evidence": json.dumps(step.evidence),
                "verdict": step.verdict,
                "inputTokens": step.input_tokens,
                "outputTokens": step.output_tokens,
                "costMicroDollars": step.cost_micro_dollars,
                "modelId": step.model_id,
                "modelProfile": step.model_profile,
            }
        )
        condition = "attribute_not_exists(caseId)"
        if written_if(self.client.put_item, TableName=self.table, Item=item, ConditionExpression=condition):
            return step
        standing = self.get(step.case_id, step.number)
        if standing is None:
            raise Retryable(f"{self.table}: step {step.number} of {step.case_id} was there and is gone")
        return standing

    def acted(self, case_id: str, number: int, reply: str, action_id: str | None = None) -> Step:
        """Keeps a tool's answer, and the action that it proposed, once; answers the step as it stands then."""
        said = {"reply": reply} | ({} if action_id is None else {"actionId": action_id})
        return self._set_once(case_id, number, "reply", said)

    def observe(self, case_id: str, number: int, outcome: Outcome, facts: tuple[str, ...], at: str) -> Step:
        """Keeps what came of a step, once; answers the step as it stands then. ``at`` is RFC 3339."""
        said = {"observedAt": at, "outcome": outcome, "facts": json.dumps(facts, ensure_ascii=False)}
        return self._set_once(case_id, number, "observedAt", said)

    def _set_once(self, case_id: str, number: int, mark: str, said: Mapping[str, str]) -> Step:
        """Sets attributes of a planned step, where it has no ``mark`` yet, which is among them."""
        written_if(
            self.client.update_item,
            TableName=self.table,
            Key=_key(case_id, number),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in said),
            ConditionExpression=f"attribute_exists(caseId) AND attribute_not_exists(#{mark})",
            ExpressionAttributeNames={f"#{name}": name for name in said},
            ExpressionAttributeValues={f":{name}": {"S": text} for name, text in said.items()},
        )
        standing = self.get(case_id, number)
        if standing is None:
            raise Rejected(f"step {number} of {case_id} was never planned")
        return standing


def _key(case_id: str, number: int) -> dict[str, dict[str, str]]:
    return {"caseId": {"S": case_id}, "step": {"N": str(number)}}


def _step(item: Item) -> Step:
    return Step(
        case_id=item["caseId"]["S"],
        number=int(item["step"]["N"]),
        kind=cast(Kind, item["kind"]["S"]),
        move=item["move"]["S"],
        reasoning=item["reasoning"]["S"],
        planned_at=item["plannedAt"]["S"],
        tool=text_of(item, "tool"),
        arguments=json.loads(item["arguments"]["S"]),
        evidence=tuple(json.loads(item["evidence"]["S"])),
        verdict=cast("Verdict | None", text_of(item, "verdict")),
        reply=text_of(item, "reply"),
        action_id=text_of(item, "actionId"),
        outcome=cast("Outcome | None", text_of(item, "outcome")),
        facts=tuple(json.loads(text_of(item, "facts") or "[]")),
        observed_at=text_of(item, "observedAt"),
        input_tokens=int(item["inputTokens"]["N"]),
        output_tokens=int(item["outputTokens"]["N"]),
        cost_micro_dollars=int(item["costMicroDollars"]["N"]),
        model_id=text_of(item, "modelId"),
        model_profile=text_of(item, "modelProfile"),
    )
