"""An answer's way to the person: numbered, gathered, kept, and over to another connection where one comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from backbone.chat_frames import AnswerFrame, DoneFrame, TurnFrames
from backbone.errors import Retryable
from conversation_lease import LeaseLostError
from frame_stream import KEEP_SECONDS, NUMBERS_PER_ATTEMPT, FrameStream
from tests.unit.chat_answering import CONVERSATION, FakePoster, Measured, text_as_seen

FRAMES = TurnFrames(CONVERSATION, "message-0001", 1)


@dataclass
class World:
    """A stream and all that it reaches; ``now`` is its clock."""

    now: float = 0.0
    connection: str = "connection-1"
    poster: FakePoster = field(default_factory=FakePoster)
    kept: list[tuple[AnswerFrame, ...]] = field(default_factory=list)
    firsts: int = 0
    keeping: Callable[[], None] = lambda: None
    finding: Callable[[], None] = lambda: None
    measured: Measured = field(default_factory=Measured)

    def stream(self, attempt: int = 1) -> FrameStream:
        return FrameStream(
            FRAMES,
            attempt,
            self.connection,
            poster=self.poster,
            find_connection=self._find,
            keep=self._keep,
            on_first=self._first,
            log=self.measured.log,
            clock=lambda: self.now,
        )

    def seen(self, connection: str = "connection-1") -> list[AnswerFrame]:
        return self.poster.on(connection)

    def texts(self, connection: str = "connection-1") -> list[str]:
        return [frame["text"] for frame in self.seen(connection) if frame["type"] == "delta"]

    def _find(self) -> str:
        self.finding()
        return self.connection

    def _keep(self, frames: Sequence[AnswerFrame]) -> None:
        self.keeping()
        self.kept.append(tuple(frames))

    def _first(self) -> None:
        self.firsts += 1


def done(sequence: int) -> DoneFrame:
    model = {"engine": "converse", "modelId": "m", "profile": None}
    return FRAMES.done(
        sequence,
        "answered",
        citations=[],
        confirm=None,
        model=model,  # type: ignore[arg-type] # a literal of that shape
        usage={"inputTokens": 1, "outputTokens": 1},
    )


def end(stream: FrameStream) -> tuple[AnswerFrame, ...]:
    frames = stream.end(done)
    stream.post_end()
    return frames


def test_first_piece_goes_out_at_once_and_the_rest_is_gathered() -> None:
    world = World()
    stream = world.stream()
    for piece in "Hello":
        stream.text(piece)
        world.now += 0.015
    assert world.texts() == ["H", "ell"]
    end(stream)
    assert world.texts() == ["H", "ell", "o"]
    assert [frame["sequence"] for frame in world.seen()] == [1, 2, 3, 4]
    assert world.seen()[-1]["type"] == "done"
    assert world.firsts == 1


def test_gathered_text_goes_out_at_400_characters_when_no_time_passes() -> None:
    world = World()
    stream = world.stream()
    for _ in range(41):
        stream.text("0123456789")
    assert [len(text) for text in world.texts()] == [10, 400]


def test_long_answer_of_a_slow_model_takes_few_frames() -> None:
    world = World()
    stream = world.stream()
    for _ in range(2_500):
        stream.text("a")
        world.now += 0.04
    assert len(end(stream)) < 750


def test_tool_frame_follows_the_text_that_was_said_before_it() -> None:
    world = World()
    stream = world.stream()
    stream.text("I look")
    stream.text(" it up.")
    stream.tool("list_cards", "started")
    assert [frame["type"] for frame in world.seen()] == ["delta", "delta", "tool"]


def test_last_frame_is_made_before_it_is_posted() -> None:
    world = World()
    stream = world.stream()
    stream.text("Hi")
    assert [frame["type"] for frame in stream.end(done)] == ["delta", "done"]
    assert [frame["type"] for frame in world.seen()] == ["delta"]
    stream.post_end()
    assert [frame["type"] for frame in world.seen()] == ["delta", "done"]


def test_turn_that_is_begun_again_says_so_and_counts_from_the_next_range() -> None:
    world = World()
    world.stream().text("Half an ans")
    again = world.stream(attempt=2)
    again.text("A whole answer.")
    end(again)
    assert world.seen()[1] == FRAMES.restart(NUMBERS_PER_ATTEMPT + 1)
    assert text_as_seen(world.seen(), 1) == ("A whole answer.", True)


def test_frames_are_kept_every_two_seconds() -> None:
    world = World()
    stream = world.stream()
    for _ in range(9):
        stream.text("a")
        world.now += KEEP_SECONDS / 4
    assert [len(frames) for frames in world.kept] == [5, 9]


def test_frames_go_to_no_one_but_are_kept_when_the_connection_is_gone() -> None:
    world = World(poster=FakePoster(gone={"connection-1"}))
    stream = world.stream()
    stream.text("Hello")
    assert [frame["type"] for frame in end(stream)] == ["delta", "done"]
    assert world.poster.posted == []
    assert world.firsts == 0


def test_new_connection_gets_what_was_not_kept_before_it_and_all_that_follows() -> None:
    world = World()
    stream = world.stream()
    stream.text("one ")
    world.now += KEEP_SECONDS
    stream.text("two ")
    world.now += KEEP_SECONDS
    stream.text("three ")
    resumed_with = list(world.kept[0])
    world.poster.gone.add("connection-1")
    world.connection = "connection-2"
    world.now += 0.1
    stream.text("four")
    end(stream)
    seen = resumed_with + world.seen("connection-2")
    assert text_as_seen(seen, 1) == ("one two three four", True)


def test_answer_goes_over_to_a_new_connection_while_the_old_one_seems_alive() -> None:
    world = World()
    stream = world.stream()
    stream.text("one ")
    world.connection = "connection-2"
    world.now += KEEP_SECONDS
    stream.text("two")
    end(stream)
    assert text_as_seen(world.seen("connection-2"), 1) == ("one two", True)


def test_last_frame_goes_to_the_connection_that_is_there_at_the_end() -> None:
    world = World()
    stream = world.stream()
    stream.text("one")
    world.connection = "connection-2"
    end(stream)
    assert text_as_seen(world.seen("connection-2"), 1) == ("one", True)


def test_frame_that_cannot_be_posted_is_logged_and_kept() -> None:
    failures = ["before post"]

    def step(name: str) -> None:
        if name in failures:
            failures.remove(name)
            raise Retryable("throttled")

    world = World(poster=FakePoster(step))
    stream = world.stream()
    stream.text("Hello")
    assert "throttled" in world.measured.logged[0]
    assert len(end(stream)) == 2


def test_lost_lease_ends_the_stream_and_a_table_that_is_away_does_not() -> None:
    def lose() -> None:
        raise LeaseLostError("another")

    def be_away() -> None:
        raise Retryable("the table is away")

    world = World(keeping=be_away)
    stream = world.stream()
    world.now += KEEP_SECONDS
    stream.text("Hello")
    assert "not kept" in world.measured.logged[0]
    world.keeping = lose
    world.now += KEEP_SECONDS
    with pytest.raises(LeaseLostError):
        stream.text("again")
    world.finding = lose
    with pytest.raises(LeaseLostError):
        stream.post_end()


def test_connection_that_cannot_be_looked_up_changes_nothing() -> None:
    def be_away() -> None:
        raise Retryable("the table is away")

    world = World(finding=be_away)
    stream = world.stream()
    stream.text("Hello")
    end(stream)
    assert text_as_seen(world.seen(), 1) == ("Hello", True)
    assert "could not be looked up" in world.measured.logged[0]
