"""The check_grounding handler: a draft in the bucket becomes a verdict on each of its sentences."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone.documents import Grounding, grounding_key
from backbone.errors import Rejected, Retryable
from tests.unit.document_builder import DOCUMENT, TEXTS, FakeModel, Workplace, a_document, cited, workplace
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    handler = handler_module("check_grounding")
    monkeypatch.setattr(handler, "model", FakeModel())
    return handler


@pytest.fixture
def work(resources: Resources) -> Workplace:
    place = workplace(resources.client)
    place.extracted(a_document())
    return place


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def test_every_sample_event_has_a_test() -> None:
    assert samples("check_grounding") == ["bad", "edge", "good"]


def test_the_good_sample_is_grounded_where_every_sentence_is_supported(module: Any, work: Workplace) -> None:
    work.drafted(cited(TEXTS[0], "p1"), cited("Interest is 4.5 percent a year.", "p2"))
    answer = invoke(module, sample("check_grounding", "good"))
    key = grounding_key(DOCUMENT, 1)
    assert answer == {"grounded": True, "supportRate": 1.0, "unsupported": 0, "key": key}
    grounding = work.bucket.read(Grounding, key)
    assert [(one.passage, one.supported) for one in grounding.sentences] == [("p1", True), ("p2", True)]


def test_one_unsupported_sentence_is_enough_not_to_be_grounded(
    module: Any, work: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    work.drafted(cited(TEXTS[0], "p1"), cited(TEXTS[2], "p3"), cited("Interest is 5.4% a year.", "p2"))
    capsys.readouterr()
    answer = invoke(module, sample("check_grounding", "good"))
    assert (answer["grounded"], answer["supportRate"], answer["unsupported"]) == (False, 0.6667, 1)
    measured = metrics_in(capsys.readouterr().out)
    assert (measured["SentencesChecked"], measured["SentencesUnsupported"]) == (3, 1)


def test_the_bad_sample_is_rejected(module: Any) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*documentId is no str"):
        invoke(module, sample("check_grounding", "bad"))


def test_the_edge_sample_checks_the_second_draft(module: Any, work: Workplace) -> None:
    work.drafted(cited(TEXTS[0], "p1"), attempt=2)
    assert invoke(module, sample("check_grounding", "edge"))["key"] == grounding_key(DOCUMENT, 2)


@pytest.mark.usefixtures("work")
def test_a_draft_that_is_not_there_is_rejected(module: Any) -> None:
    with pytest.raises(Rejected, match=r"draft-1.json.*NoSuchKey"):
        invoke(module, sample("check_grounding", "good"))


def test_a_throttled_embedding_model_is_retryable_and_leaves_no_verdict(
    module: Any, work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.drafted(cited("Interest is 4.5 percent a year.", "p2"))
    monkeypatch.setattr(module, "model", FakeModel(refuses_to_embed=Retryable("throttled")))
    with pytest.raises(Retryable):
        invoke(module, sample("check_grounding", "good"))
    with pytest.raises(Rejected, match="NoSuchKey"):
        work.bucket.read(Grounding, grounding_key(DOCUMENT, 1))
