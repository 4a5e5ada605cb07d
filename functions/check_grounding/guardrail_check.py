"""A second opinion on each supported sentence: the contextual grounding check of a Bedrock guardrail.

It can only make a verdict stricter: what our own check calls unsupported stays so, and costs no call.
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-contextual-grounding-check.html
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.documents import JudgedSentence, Passage
from backbone.errors import Rejected
from backbone.model import judged

# The service's own bound on what a text is checked against, in characters.
_LONGEST_SOURCE = 100_000
_QUERY = "What does this document say?"
_CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail whose contextual grounding policy has the filter GROUNDING, behind ``client`` ("bedrock-runtime")."""

    client: Any
    identifier: str
    version: str

    def check(self, sentences: Sequence[JudgedSentence], passages: Sequence[Passage]) -> list[JudgedSentence]:
        """``sentences`` in their order, those that the guardrail finds not grounded as unsupported, with the score.

        A sentence is held against the passages that it cites and the one that our own check found. Raises Retryable
        where the guardrail is throttled or away, Rejected (MODEL_FAILED) where it answers no grounding score.
        """
        texts = {passage.id: passage.text for passage in passages}
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as calls:
            return list(calls.map(lambda sentence: self._checked(sentence, texts), sentences))

    def _checked(self, sentence: JudgedSentence, texts: Mapping[str, str]) -> JudgedSentence:
        if not sentence.supported:
            return sentence
        cited = dict.fromkeys((sentence.passage, *sentence.passages))
        source = "\n".join(texts[identity] for identity in cited if identity in texts)
        score, threshold = self._score(sentence.text, source[:_LONGEST_SOURCE])
        if score >= threshold:
            return sentence
        problem = f"The guardrail's grounding score is {score:.2f}, under {threshold:.2f}."
        return replace(sentence, supported=False, problems=(*sentence.problems, problem))

    def _score(self, text: str, source: str) -> tuple[float, float]:
        content = [
            {"text": {"text": source, "qualifiers": ["grounding_source"]}},
            {"text": {"text": _QUERY, "qualifiers": ["query"]}},
            {"text": {"text": text, "qualifiers": ["guard_content"]}},
        ]
        try:
            answer = self.client.apply_guardrail(
                guardrailIdentifier=self.identifier, guardrailVersion=self.version, source="OUTPUT", content=content
            )
        except (ClientError, BotoCoreError) as failed:
            raise judged("apply_guardrail", self.identifier, failed) from failed
        scores = [
            (float(filtered["score"]), float(filtered["threshold"]))
            for assessment in answer["assessments"]
            for filtered in assessment.get("contextualGroundingPolicy", {}).get("filters", ())
            if filtered["type"] == "GROUNDING"
        ]
        if len(scores) != 1:
            raise Rejected(
                f"MODEL_FAILED: guardrail {self.identifier} answered {len(scores)} grounding scores, not one"
            )
        return scores[0]
