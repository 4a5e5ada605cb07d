"""The guardrail's second opinion: it can only make a verdict stricter, and what is no score is no verdict."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from backbone.documents import JudgedSentence, Passage
from backbone.errors import Rejected, Retryable
from guardrail_check import Guardrail

PASSAGES = (Passage("p1", 1, "The loan is EUR 12,000."), Passage("p2", 1, "Interest is 4.5 percent."))


def a_sentence(text: str = "EUR 12,000 are lent.", *, supported: bool = True) -> JudgedSentence:
    return JudgedSentence(text, ("p1",), supported, "p1", 0.9, ())


@pytest.fixture
def bedrock() -> Any:
    return boto3.client("bedrock-runtime", region_name="eu-central-1")


def answer(*scores: float) -> dict[str, Any]:
    filters = [{"type": "GROUNDING", "threshold": 0.7, "score": score, "action": "NONE"} for score in scores]
    relevance = {"type": "RELEVANCE", "threshold": 0.5, "score": 0.1, "action": "NONE"}
    usage = dict.fromkeys(
        (
            "topicPolicyUnits",
            "contentPolicyUnits",
            "wordPolicyUnits",
            "sensitiveInformationPolicyUnits",
            "sensitiveInformationPolicyFreeUnits",
            "contextualGroundingPolicyUnits",
        ),
        1,
    )
    return {
        "action": "NONE",
        "outputs": [],
        "usage": usage,
        "assessments": [{"contextualGroundingPolicy": {"filters": [*filters, relevance]}}],
    }


def asked(text: str, source: str) -> dict[str, Any]:
    content = [
        {"text": {"text": source, "qualifiers": ["grounding_source"]}},
        {"text": {"text": "What does this document say?", "qualifiers": ["query"]}},
        {"text": {"text": text, "qualifiers": ["guard_content"]}},
    ]
    return {"guardrailIdentifier": "g", "guardrailVersion": "1", "source": "OUTPUT", "content": content}


def test_sentence_that_the_guardrail_finds_grounded_stays_as_it_was(bedrock: Any) -> None:
    with Stubber(bedrock) as service:
        service.add_response("apply_guardrail", answer(0.7), asked("EUR 12,000 are lent.", PASSAGES[0].text))
        assert Guardrail(bedrock, "g", "1").check([a_sentence()], PASSAGES) == [a_sentence()]


def test_sentence_under_the_threshold_becomes_unsupported_and_says_the_score(bedrock: Any) -> None:
    with Stubber(bedrock) as service:
        service.add_response("apply_guardrail", answer(0.41))
        (checked,) = Guardrail(bedrock, "g", "1").check([a_sentence()], PASSAGES)
    assert not checked.supported
    assert checked.problems == ("The guardrail's grounding score is 0.41, under 0.70.",)


def test_sentence_that_is_unsupported_already_is_not_asked_about(bedrock: Any) -> None:
    with Stubber(bedrock):  # any call would raise
        assert Guardrail(bedrock, "g", "1").check([a_sentence(supported=False)], PASSAGES) == [
            a_sentence(supported=False)
        ]


@pytest.mark.parametrize("scores", [(), (0.9, 0.9)])
def test_answer_without_exactly_one_grounding_score_is_no_verdict(bedrock: Any, scores: tuple[float, ...]) -> None:
    with Stubber(bedrock) as service:
        service.add_response("apply_guardrail", answer(*scores))
        with pytest.raises(Rejected, match="MODEL_FAILED: guardrail g answered"):
            Guardrail(bedrock, "g", "1").check([a_sentence()], PASSAGES)


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [("ThrottlingException", 429, Retryable), ("AccessDeniedException", 403, Rejected)],
)
def test_failing_guardrail_is_judged_as_a_model_is(
    bedrock: Any, code: str, status: int, raised: type[Exception]
) -> None:
    with Stubber(bedrock) as service:
        service.add_client_error("apply_guardrail", code, http_status_code=status)
        with pytest.raises(raised):
            Guardrail(bedrock, "g", "1").check([a_sentence()], PASSAGES)
