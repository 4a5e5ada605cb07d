"""The combine_summaries handler and what it writes from: all that the chunks say; then, stricter, only what holds."""

from collections.abc import Callable
from typing import Any

import pytest

import candidates
from backbone.documents import ChunkSummary, Draft, draft_key
from backbone.errors import Rejected, Retryable
from candidates import Candidate, first_candidates, resolved, strict_candidates, within_bound
from draft_summary import write_draft
from tests.unit.document_builder import (
    DOCUMENT,
    FakeModel,
    Workplace,
    a_chunk_summary,
    a_document,
    a_grounding,
    a_use,
    cited,
    judged,
    says,
    workplace,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

DOCUMENT_OF_THREE = a_document()
P1, P2, P3 = DOCUMENT_OF_THREE.passages
FIRST = a_chunk_summary(1, cited("The loan is EUR 12,000.", "p1"), cited("Interest is 5.4% a year.", "p2"))
SECOND = a_chunk_summary(2, cited("Ingrid Solheim signed the contract.", "p3"))


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
) -> Any:
    return handler_module("combine_summaries")


@pytest.fixture
def work(resources: Resources) -> Workplace:
    """A document of two chunks, both summarised."""
    place = workplace(resources.client)
    place.extracted(DOCUMENT_OF_THREE, [[P1, P2], [P3]])
    place.summarized(FIRST, SECOND)
    return place


def invoke(module: Any, event: dict[str, Any], model: FakeModel, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(module, "model", model)
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def shown(model: FakeModel) -> list[str]:
    """The texts that the model was given to write from."""
    return [line.partition(">")[2].removesuffix("</passage>") for line in model.asked[0]["text"].splitlines()]


def test_every_sample_event_has_a_test() -> None:
    assert samples("combine_summaries") == ["bad", "edge", "good"]


def test_the_good_sample_becomes_a_draft_that_cites_the_documents_passages(
    module: Any, work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeModel([says(cited("EUR 12,000 are lent at 5.4%.", "c1", "c2"), cited("Solheim signed.", "c3"))])
    answer = invoke(module, sample("combine_summaries", "good"), model, monkeypatch)
    assert answer == {"key": draft_key(DOCUMENT, 1), "sentences": 2}
    assert shown(model) == [one.text for one in (*FIRST.sentences, *SECOND.sentences)]
    draft = work.bucket.read(Draft, draft_key(DOCUMENT, 1))
    assert draft.sentences == (cited("EUR 12,000 are lent at 5.4%.", "p1", "p2"), cited("Solheim signed.", "p3"))
    assert (draft.model.input_tokens, draft.model.output_tokens) == (100 + 100 + 1_000, 20 + 20 + 50)


def test_the_bad_sample_is_rejected(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*attempt is no int"):
        invoke(module, sample("combine_summaries", "bad"), FakeModel(), monkeypatch)


def test_the_edge_sample_quotes_and_leaves_out_what_was_not_supported(
    module: Any, work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.drafted(cited("The loan is EUR 12,000.", "p1"), cited("Interest is 5.4% a year.", "p2"))
    work.checked(judged("The loan is EUR 12,000.", "p1"), judged("Interest is 5.4% a year.", "p2", supported=False))
    model = FakeModel([says(cited("Interest is 4.5% a year.", "c1"))])
    invoke(module, sample("combine_summaries", "edge"), model, monkeypatch)
    assert shown(model) == [P2.text, "The loan is EUR 12,000.", "Ingrid Solheim signed the contract."]
    assert "word for word" in model.asked[0]["system"]
    draft = work.bucket.read(Draft, draft_key(DOCUMENT, 2))
    assert draft.sentences == (cited("Interest is 4.5% a year.", "p2"),)
    assert draft.model.input_tokens == 500 + 1_000


def test_a_document_of_one_chunk_has_its_summary_already(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workplace(resources.client)
    place.extracted(DOCUMENT_OF_THREE)
    place.summarized(FIRST)
    invoke(module, sample("combine_summaries", "good"), FakeModel(), monkeypatch)
    assert place.bucket.read(Draft, draft_key(DOCUMENT, 1)).sentences == FIRST.sentences


def test_what_an_earlier_longer_version_left_is_not_read(
    module: Any, work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.extracted(DOCUMENT_OF_THREE, [[P1, P2, P3]])  # the second chunk and its summary are the old version's
    invoke(module, sample("combine_summaries", "good"), FakeModel(), monkeypatch)
    assert work.bucket.read(Draft, draft_key(DOCUMENT, 1)).sentences == FIRST.sentences


@pytest.mark.parametrize("failure", [Retryable("throttled"), Rejected("MODEL_FAILED: cut off")])
def test_a_model_that_fails_leaves_no_draft(
    module: Any, work: Workplace, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(type(failure)):
        invoke(module, sample("combine_summaries", "good"), FakeModel([failure]), monkeypatch)
    with pytest.raises(Rejected, match="NoSuchKey"):
        work.bucket.read(Draft, draft_key(DOCUMENT, 1))


@pytest.mark.usefixtures("work")
def test_tokens_and_cost_are_measured(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    invoke(module, sample("combine_summaries", "good"), FakeModel([says(cited("One.", "c1"))]), monkeypatch)
    assert metrics_in(capsys.readouterr().out)["ModelCostMicroDollars"] == 72


def test_at_most_ten_sentences_and_no_more_than_there_are_to_write_from() -> None:
    for count, at_most in ((2, 2), (30, 10)):
        model = FakeModel([says(cited("One.", "c1"))])
        write_draft(DOCUMENT, 1, [Candidate("One.", ("p1",))] * count, a_use(), model)
        assert model.asked[0]["tool"].schema["properties"]["sentences"]["maxItems"] == at_most


def test_nothing_to_write_from_is_rejected() -> None:
    with pytest.raises(Rejected, match="MODEL_FAILED"):
        write_draft(DOCUMENT, 2, [], a_use(), FakeModel())


def test_what_led_to_a_joined_sentence_that_was_not_supported_is_replaced_by_its_passages() -> None:
    grounding = a_grounding(judged("The loan of EUR 12,000 bears 5.4%.", "p1", "p2", supported=False))
    strict = strict_candidates([FIRST, SECOND], grounding, DOCUMENT_OF_THREE.passages)
    assert strict == [
        Candidate(P1.text, ("p1",)),
        Candidate(P2.text, ("p2",)),
        Candidate("Ingrid Solheim signed the contract.", ("p3",)),
    ]


def test_of_a_very_long_document_each_chunk_has_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAXIMUM_CHARACTERS", 60)
    summaries: list[ChunkSummary] = [
        a_chunk_summary(chunk, *(cited(f"Sentence {chunk}-{rank}.", "p1") for rank in range(5))) for chunk in (1, 2)
    ]
    texts = [candidate.text for candidate in first_candidates(summaries)]
    assert texts == ["Sentence 1-0.", "Sentence 1-1.", "Sentence 2-0.", "Sentence 2-1."]


def test_a_sentence_from_two_candidates_cites_the_passages_of_both_once() -> None:
    of = [Candidate("A.", ("p1", "p2")), Candidate("B.", ("p2", "p3"))]
    assert resolved(cited("AB.", "c1", "c2"), of) == cited("AB.", "p1", "p2", "p3")
    assert within_bound([of, []]) == of
