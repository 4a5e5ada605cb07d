"""The document flow told: a line a document when it ends, where the time went, and one summary with its citations."""

import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.request import urlopen

from local.document_flow import DocumentJourney, play_documents
from local.narration import Narrator
from local.stack import Stack


def tell_documents(stack: Stack, token: str, customer_id: str, narrator: Narrator) -> Sequence[DocumentJourney]:
    """Plays the document flow for one customer and tells it; returns the journeys, ended or not."""
    narrator.tell()
    narrator.tell(f"{customer_id} signs in and uploads three documents; each must become a grounded summary.", "bold")
    narrator.tell(f"  {_what_answers(stack)}")
    began = time.time()

    def told(journey: DocumentJourney) -> None:
        kind = (journey.event or {}).get("detail-type", "")
        since = journey.ended_at - journey.uploaded_at
        style = "green" if journey.problem is None else "red"
        narrator.event(journey.ended_at - began, since, kind, f"{journey.file_name}  {_about(journey)}", style)

    journeys = play_documents(stack, token, told)
    _tell_states(journeys, narrator)
    _tell_summary(journeys[0], narrator)
    return journeys


def documents_report(journeys: Sequence[DocumentJourney], *, ok: bool) -> dict[str, Any]:
    """The flow "document" of demo.json: the first document's, with every document's result."""
    first = journeys[0]
    detail = (first.event or {}).get("detail", {})
    return {
        "name": "document",
        "ok": ok,
        "correlation_id": detail.get("metadata", {}).get("correlationId"),
        "total_ms": _milliseconds(first, first.ended_at),
        "events": [
            {
                "detail_type": journey.event["detail-type"],
                "source": journey.event["source"],
                "at_ms": round((journey.ended_at - first.uploaded_at) * 1000),
            }
            for journey in journeys
            if journey.event
        ],
        "result": {
            "documents": [
                {
                    "file_name": journey.file_name,
                    "document_id": journey.document_id,
                    "total_ms": _milliseconds(journey, journey.ended_at),
                    "states_ms": {name: round((end - begin) * 1000) for name, begin, end in journey.states},
                    "status": journey.shown.get("status"),
                    "summary": journey.shown.get("summary"),
                }
                for journey in journeys
            ]
        },
    }


def _what_answers(stack: Stack) -> str:
    """What stands behind Bedrock here, in one line, and how to change it."""
    with urlopen(f"{stack.endpoint}/_local/models") as answer:  # noqa: S310 - the engine's own address
        models = json.load(answer)
    return f"{models['inWords']} {models['howToChange']}"


def _about(journey: DocumentJourney) -> str:
    if journey.problem is not None or journey.event is None:
        return journey.problem or ""
    data = journey.event["detail"]["data"]
    return f"{data['sentences']} sentences, {data['supportRate']:.0%} supported by the passages that they cite"


def _tell_states(journeys: Sequence[DocumentJourney], narrator: Narrator) -> None:
    names = list(dict.fromkeys(name for journey in journeys for name, _, _ in journey.states))
    rows = []
    for name in names:
        spans = {
            journey.file_name: end - begin for journey in journeys for at, begin, end in journey.states if at == name
        }
        rows.append(
            (name, *(f"{spans[one.file_name] * 1000:.0f}" if one.file_name in spans else "" for one in journeys))
        )
    header = ("state of SummarizeDocument", *(journey.file_name for journey in journeys))
    narrator.table("Milliseconds in each state, all three documents at once", header, rows)


def _tell_summary(journey: DocumentJourney, narrator: Narrator) -> None:
    summary = journey.shown.get("summary") or {}
    narrator.tell(f"The summary of {journey.file_name}, each sentence with the passages that support it:", "bold")
    for sentence in summary.get("sentences", []):
        cited = ", ".join(_cited(passage) for passage in sentence["passages"])
        narrator.tell(f"  {sentence['text']}  [{cited}]")


def _cited(passage: dict[str, Any]) -> str:
    return f"{passage['id']}, page {passage['page']}" if passage.get("page") else str(passage["id"])


def _milliseconds(journey: DocumentJourney, at: float) -> int:
    return max(0, round((at - journey.uploaded_at) * 1000))
