"""The summarize_chunk handler: a chunk in the bucket becomes sentences that name its passages."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone.documents import Chunk, ChunkSummary, chunk_key, chunk_summary_key
from backbone.errors import Rejected, Retryable
from chunk_summary import summarize
from tests.unit.aws_faults import failing
from tests.unit.document_builder import (
    DOCUMENT,
    FakeModel,
    Workplace,
    a_document,
    cited,
    passages_of,
    says,
    workplace,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

ANSWER = says(cited("The loan is EUR 12,000.", "p1"), cited("Interest is 4.5% a year.", "p2"))


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
) -> Any:
    return handler_module("summarize_chunk")


@pytest.fixture
def work(resources: Resources) -> Workplace:
    place = workplace(resources.client)
    place.extracted(a_document())
    return place


def invoke(module: Any, event: dict[str, Any], model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "model", model)
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def test_every_sample_event_has_a_test() -> None:
    assert samples("summarize_chunk") == ["bad", "edge", "good"]


def test_the_good_sample_becomes_a_summary_in_the_bucket(
    module: Any, work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = invoke(module, sample("summarize_chunk", "good"), FakeModel([ANSWER]), monkeypatch)
    key = chunk_summary_key(DOCUMENT, 1)
    assert answer == {"key": key, "sentences": 2, "inputTokens": 1_000, "outputTokens": 50}
    summary = work.bucket.read(ChunkSummary, key)
    assert summary.sentences == (cited("The loan is EUR 12,000.", "p1"), cited("Interest is 4.5% a year.", "p2"))
    assert (summary.chunk, summary.model.model_id) == (1, "amazon.nova-lite-v1:0")


def test_the_bad_sample_is_rejected_before_a_model_is_asked(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*key is no str"):
        invoke(module, sample("summarize_chunk", "bad"), FakeModel(), monkeypatch)


@pytest.mark.usefixtures("work")
def test_the_edge_sample_names_a_chunk_that_is_not_there(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*NoSuchKey"):
        invoke(module, sample("summarize_chunk", "edge"), FakeModel(), monkeypatch)


@pytest.mark.parametrize("failure", [Retryable("throttled"), Rejected("MODEL_FAILED: cut off")])
def test_a_model_that_fails_leaves_no_summary(
    module: Any, work: Workplace, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(type(failure)):
        invoke(module, sample("summarize_chunk", "good"), FakeModel([failure]), monkeypatch)
    with pytest.raises(Rejected, match="NoSuchKey"):
        work.bucket.read(ChunkSummary, chunk_summary_key(DOCUMENT, 1))


@pytest.mark.usefixtures("work")
def test_a_busy_bucket_is_retryable_and_the_second_try_writes(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    event = sample("summarize_chunk", "good")
    with failing("PutObject", "SlowDown"), pytest.raises(Retryable):
        invoke(module, event, FakeModel([ANSWER]), monkeypatch)
    assert invoke(module, event, FakeModel([ANSWER]), monkeypatch)["sentences"] == 2


@pytest.mark.usefixtures("work")
def test_tokens_and_cost_are_measured(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    invoke(module, sample("summarize_chunk", "good"), FakeModel([ANSWER]), monkeypatch)
    measured = metrics_in(capsys.readouterr().out)
    assert measured == {
        "ChunksReceived": 1,
        "InputTokens": 1_000,
        "OutputTokens": 50,
        "ModelCostMicroDollars": 60 + 12,
    }


@pytest.mark.parametrize(("characters", "sentences"), [(200, 1), (1_501, 2), (11_999, 8), (40_000, 8)])
def test_a_longer_chunk_gets_more_sentences_up_to_eight(characters: int, sentences: int) -> None:
    model = FakeModel([ANSWER])
    summarize(Chunk(DOCUMENT, 1, passages_of("x" * (characters - 1), "y")), model)
    assert model.asked[0]["tool"].schema["properties"]["sentences"]["maxItems"] == sentences
    assert f"at most {sentences} sentences" in model.asked[0]["system"]


def test_a_chunk_without_passages_is_rejected() -> None:
    with pytest.raises(Rejected, match="EMPTY"):
        summarize(Chunk(DOCUMENT, 1, ()), FakeModel())


def test_the_chunks_key_is_what_extract_text_writes() -> None:
    assert sample("summarize_chunk", "good")["key"] == chunk_key(DOCUMENT, 1)
