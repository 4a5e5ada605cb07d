"""Taking a person's message: whose conversation it is, which turn it becomes, that its answer is asked for, once.

Knows no AWS: where conversations are kept and the bus are arguments.

The turn is written first and announced (ChatMessageReceived) after. Whoever dies between the two leaves a turn that
nobody was told of. It is told of when the client, which got no ``accepted``, sends the same message again or resumes
the turn, and at the latest with the conversation's next message, for answer_chat answers all that waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID, uuid5

from backbone import contracts
from backbone.chat_frames import AcceptedFrame, AnswerFrame, accepted
from backbone.chat_people import ChatPerson
from backbone.contracts import Event, Metadata
from backbone.conversations import Conversation, SentMessage, Turn, text_digest
from backbone.errors import Retryable
from client_frames import FrameRefusedError, Resume, SendMessage

RECEIVED = "ChatMessageReceived"
PRODUCER = "receive_chat_message"
# More than a person asks before they read an answer, and few enough that one conversation cannot fill the queue.
UNANSWERED_AT_MOST = 5
_ATTEMPTS = 5
_NAMESPACE = UUID("0b5d3a4e-6c0f-5c55-8b0e-2f6f0f6f9c1a")


class Turns(Protocol):
    """Conversations and their turns. Every method raises Retryable where it cannot now."""

    def read(self, conversation_id: str, message_id: str) -> tuple[Conversation | None, SentMessage | None]:
        """The conversation, and what the message became if it was sent before, both as of now."""

    def add(self, conversation: Conversation, turn: Turn, now: float) -> bool:
        """Adds ``turn`` as the last of ``conversation``, whole or not at all; the first makes the conversation.

        False where somebody else added one meanwhile, or is just writing: read again.
        """

    def get(self, conversation_id: str) -> Conversation | None: ...

    def get_turn(self, conversation_id: str, turn: int) -> Turn | None: ...

    def connect(self, conversation: Conversation, connection_id: str) -> None:
        """Has the answers of ``conversation`` go to ``connection_id`` from now on."""


class Bus(Protocol):
    """Publishes events; returns the reason per event id for those that were not taken."""

    def publish(self, events: Sequence[Event]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a frame, over which connection."""

    person: ChatPerson
    connection_id: str


def take_message(
    message: SendMessage, sender: Sender, *, turns: Turns, bus: Bus, now: float, traceparent: str | None = None
) -> AcceptedFrame:
    """The message as a turn of its conversation, announced. The same message again is the same turn.

    Raises FrameRefusedError (NOT_YOURS, UNKNOWN_CONVERSATION, CONFLICT, BUSY, TOO_FAST, BAD_FRAME) where it cannot be
    one; Retryable where the table or the bus cannot now, after which it is safe to send it again.
    """
    conversation, turn = _as_turn(message, sender, turns, now)
    _announce(conversation, turn, bus, traceparent)
    return accepted(conversation.conversation_id, turn.message_id, turn.turn)


def resume(
    wanted: Resume, sender: Sender, *, turns: Turns, bus: Bus, traceparent: str | None = None
) -> list[AnswerFrame]:
    """The stored frames of a turn's answer after the wanted sequence; later ones will go to the sender's connection.

    Frames are stored a moment after they are posted: a client that sees a gap resumes again, and finds it filled once
    the answer is done. Raises FrameRefusedError (UNKNOWN_CONVERSATION), Retryable as ``take_message`` does.
    """
    conversation = turns.get(wanted.conversation_id)
    if conversation is None or not _is_theirs(conversation, sender.person):
        raise _unknown()
    turns.connect(conversation, sender.connection_id)
    turn = turns.get_turn(wanted.conversation_id, wanted.turn)
    if turn is None:
        raise FrameRefusedError("UNKNOWN_CONVERSATION", "This conversation has no such turn.")
    _announce(conversation, turn, bus, traceparent)
    return [frame for frame in turn.frames if frame["sequence"] > wanted.after_sequence]


def new_conversation_id(person_id: str, message_id: str) -> str:
    """The id of the conversation that a first message begins: the same when that message is sent again."""
    return str(uuid5(_NAMESPACE, f"{person_id}:{message_id}"))


def _as_turn(message: SendMessage, sender: Sender, turns: Turns, now: float) -> tuple[Conversation, Turn]:
    """The turn that ``message`` is or becomes, and its conversation."""
    if sender.person.role == "customer" and message.about_customer_id is not None:
        raise FrameRefusedError("NOT_YOURS", "You can chat about your own affairs only: leave aboutCustomerId out.")
    conversation_id = message.conversation_id or new_conversation_id(sender.person.person_id, message.message_id)
    for _ in range(_ATTEMPTS):
        conversation, sent = turns.read(conversation_id, message.message_id)
        if conversation is None:
            conversation = _begun(message, sender, conversation_id, now)
        _refuse_foreign(conversation, message, sender.person)
        if sent is not None:
            return conversation, _sent_before(conversation, sent, message, sender, turns)
        if conversation.received_turn - conversation.answered_turn >= UNANSWERED_AT_MOST:
            raise FrameRefusedError("BUSY", f"{UNANSWERED_AT_MOST} messages wait for their answer: wait for one.")
        turn = _next_turn(conversation, message, now)
        added = replace(conversation, connection_id=sender.connection_id, received_turn=turn.turn)
        if turns.add(added, turn, now):
            return added, turn
    raise FrameRefusedError("TOO_FAST", "Other messages were faster. Send this one again in a moment.")


def _begun(message: SendMessage, sender: Sender, conversation_id: str, now: float) -> Conversation:
    """A conversation that does not exist yet."""
    if message.conversation_id is not None:
        raise _unknown()
    customer_id = sender.person.customer_id or message.about_customer_id
    if customer_id is None:
        raise FrameRefusedError("BAD_FRAME", "Say whose affairs you speak of: aboutCustomerId.")
    return Conversation(
        conversation_id=conversation_id,
        person_id=sender.person.person_id,
        role=sender.person.role,
        customer_id=customer_id,
        connection_id=sender.connection_id,
        received_turn=0,
        created_at=contracts.timestamp(now),
        updated_at=contracts.timestamp(now),
    )


def _refuse_foreign(conversation: Conversation, message: SendMessage, person: ChatPerson) -> None:
    if not _is_theirs(conversation, person):
        raise _unknown()
    if message.about_customer_id not in {None, conversation.customer_id}:
        raise FrameRefusedError("CONFLICT", "This conversation is about another customer: begin a new one.")


def _is_theirs(conversation: Conversation, person: ChatPerson) -> bool:
    """Whether ``person`` may go on with it: as whom they began it, and a customer about themselves."""
    return (conversation.person_id, conversation.role) == (person.person_id, person.role) and (
        person.role == "analyst" or conversation.customer_id == person.customer_id
    )


def _sent_before(
    conversation: Conversation, sent: SentMessage, message: SendMessage, sender: Sender, turns: Turns
) -> Turn:
    """The turn that the message became when it was sent before; its answer goes to where it was sent from now."""
    turn = turns.get_turn(conversation.conversation_id, sent.turn)
    if turn is None or sent.digest != text_digest(message.text):
        raise FrameRefusedError("CONFLICT", "Another message had this messageId: give each message its own.")
    turns.connect(conversation, sender.connection_id)
    return turn


def _next_turn(conversation: Conversation, message: SendMessage, now: float) -> Turn:
    number = conversation.received_turn + 1
    event_id = contracts.event_id(RECEIVED, f"{conversation.conversation_id}:{number}")
    return Turn(
        conversation_id=conversation.conversation_id,
        turn=number,
        message_id=message.message_id,
        text=message.text,
        received_at=contracts.timestamp(now),
        correlation_id=event_id,
        event_id=event_id,
    )


def _announce(conversation: Conversation, turn: Turn, bus: Bus, traceparent: str | None) -> None:
    """Publishes the turn's ChatMessageReceived, unless its answer was begun; again is the same event."""
    if turn.status != "received":
        return
    event = contracts.build(
        RECEIVED,
        {
            "conversationId": conversation.conversation_id,
            "messageId": turn.message_id,
            "turn": turn.turn,
            "customerId": conversation.customer_id,
            "role": conversation.role,
        },
        Metadata(
            event_id=turn.event_id,
            event_version=1,
            correlation_id=turn.correlation_id,
            causation_id=turn.message_id,
            occurred_at=turn.received_at,
            producer=PRODUCER,
            traceparent=traceparent,
        ),
    )
    refused = bus.publish([event])
    if refused:
        raise Retryable(f"{RECEIVED} was not taken: {refused[event.metadata.event_id]}")


def _unknown() -> FrameRefusedError:
    return FrameRefusedError("UNKNOWN_CONVERSATION", "There is no such conversation of yours. Begin a new one.")
