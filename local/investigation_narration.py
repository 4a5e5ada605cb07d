"""The investigation flow told: what each agent thinks and does, what analysts decide, how each case ends."""

from collections.abc import Sequence
from typing import Any

from local.investigation_flow import Ending, Investigated, Investigations, Suspect, play_investigations
from local.narration import Narrator
from local.stack import Stack

_ENDINGS: dict[Ending, str] = {
    "approval": "closed as confirmed fraud, on an analyst's approval",
    "release": "closed as genuine: the agent released the payment by itself",
    "person": "given to a person",
}


def tell_investigations(stack: Stack, suspects: Sequence[Suspect], queue: str, narrator: Narrator) -> Investigations:
    """Plays the investigations to their ends and tells them."""
    narrator.tell()
    narrator.tell(f"Agents investigate {len(suspects)} flagged payments; analysts decide on what they propose.", "bold")

    def step(one: Investigated, said: dict[str, Any]) -> None:
        rests_on = f" [{', '.join(said['evidence'])}]" if said["evidence"] else ""
        outcome = f" -> {said['outcome']}" if "outcome" in said else ""
        narrator.tell(f"{_short(one)}  {said['step']}. {said['move']}{outcome}", "cyan")
        narrator.tell(f"          {said['reasoning']}{rests_on}", "dim")

    def decision(one: Investigated, action: dict[str, Any], status: str) -> None:
        narrator.tell(f"{_short(one)}  an analyst: {action['action']} is {status}", "yellow")

    def end(one: Investigated) -> None:
        because = f" ({one.case['escalatedBecause']})" if one.ending == "person" else ""
        truth = "a fraud" if one.suspect.is_fraud else "genuine"
        if one.ending is not None:
            narrator.tell(f"{_short(one)}  {_ENDINGS[one.ending]}{because}; it was {truth}", "green")

    return play_investigations(stack, suspects, queue, on_step=step, on_decision=decision, on_end=end)


def investigations_report(played: Investigations, *, ok: bool) -> dict[str, Any]:
    """The flow "investigation" of demo.json: the events of the one that ended by approval, and what became of all."""
    main = next((one for one in played.played if one.ending == "approval"), played.played[0])
    correlation = next(
        (
            event["detail"]["metadata"]["correlationId"]
            for _, event in played.events
            if event["detail"]["data"].get("caseId") == main.suspect.case_id
        ),
        None,
    )
    own = [(at, event) for at, event in played.events if event["detail"]["metadata"]["correlationId"] == correlation]
    began = own[0][0] if own else 0.0
    return {
        "name": "investigation",
        "ok": ok,
        "correlation_id": correlation,
        "total_ms": round((own[-1][0] - began) * 1000) if own else 0,
        "events": [
            {"detail_type": event["detail-type"], "source": event["source"], "at_ms": round((at - began) * 1000)}
            for at, event in own
        ],
        "result": {"cases": [_case(one) for one in played.played]},
    }


def _case(one: Investigated) -> dict[str, Any]:
    investigation = one.case.get("investigation", {})
    return {
        "case_id": one.suspect.case_id,
        "transaction_id": one.suspect.transaction_id,
        "was_fraud": one.suspect.is_fraud,
        "ended_by": one.ending,
        "outcome": one.case.get("outcome"),
        "escalated_because": one.case.get("escalatedBecause"),
        "decisions": one.decisions,
        "steps": investigation.get("steps", []),
        "cost_micro_dollars": investigation.get("costMicroDollars"),
    }


def _short(one: Investigated) -> str:
    return f"case {one.suspect.case_id[:8]}"
