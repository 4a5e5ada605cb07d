"""The chat flow told: the conversation as the customer sees it stream in, and how long each answer took."""

from typing import Any

from local.chat import Transcript
from local.chat_flow import Conversation, Exchange, lines, play_chat
from local.narration import Narrator
from local.stack import Stack


def tell_chat(stack: Stack, token: str, customer_id: str, card_id: str, narrator: Narrator) -> Conversation:
    """Plays the chat flow for one customer and tells it."""
    narrator.tell()
    narrator.tell(f"{customer_id} opens the chat (WebSocket, by a ticket) and asks about the flagged payment.", "bold")
    transcript = Transcript(narrator.console)

    def ended(exchange: Exchange) -> None:
        if exchange.answered:
            transcript.end(exchange.answered)

    return play_chat(
        stack,
        token,
        lines(card_id),
        on_line=lambda line: transcript.question(line.says),
        on_frame=transcript.frame,
        on_answer=ended,
    )


def chat_report(conversation: Conversation, *, ok: bool) -> dict[str, Any]:
    """The flow "chat" of demo.json."""
    events = conversation.events
    return {
        "name": "chat",
        "ok": ok,
        "correlation_id": events[0][1]["detail"]["metadata"]["correlationId"] if events else None,
        "total_ms": round(events[-1][0] * 1000) if events else 0,
        "events": [
            {"detail_type": envelope["detail-type"], "source": envelope["source"], "at_ms": round(at * 1000)}
            for at, envelope in events
        ],
        "result": {"exchanges": [_exchange(one) for one in conversation.exchanges]},
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    answered = exchange.answered
    if answered is None:
        return {"says": exchange.line.says, "problem": exchange.problem}
    return {
        "says": exchange.line.says,
        "answer": answered.text,
        "outcome": answered.outcome,
        "tools": [{"tool": tool, "state": state} for tool, state in answered.tools],
        "citations": list(answered.citations),
        "asks_to": answered.confirm,
        "first_delta_ms": answered.first_delta_ms and round(answered.first_delta_ms),
        "total_ms": round(answered.total_ms),
    }
