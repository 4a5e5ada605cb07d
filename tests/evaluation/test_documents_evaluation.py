"""The evaluation of documents: its parts on made-up data, its inputs, and its bars with the real local models."""

import functools
from dataclasses import dataclass
from pathlib import Path

import pytest

import evaluation.documents.__main__ as command
from backbone.model import Answer, Tool
from evaluation.documents import grounding_quality, retrieval_quality, summary_quality
from evaluation.documents.grounding_quality import Judged, assess, choose, full_check, similarity_alone
from evaluation.documents.labelled_pairs import Pair, halves
from evaluation.documents.local_models import LightModels, Measured
from evaluation.documents.retrieval_quality import Question, load_questions
from evaluation.documents.sample_documents import SampleDocument, load_documents
from evaluation.documents.summary_quality import documents_with_references, text_rank
from grounding import SIMILARITY_WEIGHT, SUPPORT_THRESHOLD, Evidence
from tests.unit.document_builder import passages_of

light_models = functools.cache(LightModels)


def judged(similarity: float, *, supported: bool, coverage: float = 1.0, problems: tuple[str, ...] = ()) -> Judged:
    pair = Pair("statement", "passage", (), supported, "paraphrase" if supported else "negated", "text")
    return Judged(pair, Evidence("p1", similarity, coverage, problems))


# ---- figures


def test_precision_recall_and_f1_are_of_both_verdicts() -> None:
    data = [
        judged(0.9, supported=True),
        judged(0.2, supported=True),
        judged(0.8, supported=False),
        judged(0.1, supported=False),
        judged(0.1, supported=False),
    ]
    quality = assess(data, similarity_alone(0.5))
    assert (quality.supported.precision, quality.supported.recall) == (0.5, 0.5)
    assert [quality.unsupported.precision, quality.unsupported.recall] == pytest.approx([2 / 3, 2 / 3])
    assert quality.mean_f1 == pytest.approx((0.5 + 2 / 3) / 2)
    assert grounding_quality.found_by_kind(data, similarity_alone(0.5)) == {"paraphrase": (1, 2), "negated": (2, 3)}


def test_a_verdict_that_is_never_given_has_no_quality() -> None:
    assert assess([judged(0.9, supported=False)], similarity_alone(0.5)).supported.f1 == 0.0


def test_a_problem_outweighs_any_similarity() -> None:
    assert not full_check(0.5, 0.5)(judged(1.0, supported=True, problems=("a number",)).evidence)


def test_the_threshold_that_parts_the_tuning_half_is_chosen() -> None:
    data = [judged(0.6, coverage=0.6, supported=True), judged(0.3, coverage=0.3, supported=False)]
    chosen = choose(data)
    assert 0.3 < chosen.threshold <= 0.6
    assert 0.3 < chosen.baseline_threshold <= 0.6


def test_the_answer_counts_where_it_is_among_the_first_three() -> None:
    passages = passages_of("one", "two", "the  answer\nis here", "four")
    questions = [Question("a", "d", "the answer is"), Question("b", "d", "four"), Question("c", "d", "one")]
    quality = retrieval_quality.assess(questions, lambda _: passages[:3])
    assert [quality.hit_rate, quality.mean_reciprocal_rank] == pytest.approx([2 / 3, (1 / 3 + 1) / 3])
    assert quality.missed == ("b",)


def test_a_search_by_words_prefers_rare_words() -> None:
    document = SampleDocument("d", passages_of("the bank pays fees", "the bank pays interest", "the bank sails"))
    assert retrieval_quality.by_words([document])("which interest does the bank pay?")[0].id == "p2"


def test_text_rank_takes_what_most_sentences_share_in_the_texts_order() -> None:
    texts = ["Whales swim far.", "Banks charge fees.", "Fees of banks rise.", "Banks lower fees."]
    assert text_rank(texts, 2) == [text for text in texts if text in text_rank(texts, 2)]
    assert "Whales swim far." not in text_rank(texts, 3)


# ---- inputs


def test_every_question_is_answered_by_its_own_document() -> None:
    documents = {document.name: document for document in load_documents()}
    questions = load_questions()
    assert len(questions) >= 30
    for question in questions:
        texts = [" ".join(passage.text.split()) for passage in documents[question.document].passages]
        assert 1 <= sum(question.answer in text for text in texts) <= 2, question.answer


def test_five_documents_have_a_reference() -> None:
    assert len(documents_with_references(load_documents())) == 5


def test_command_says_what_to_do_where_the_profile_s_model_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCAL_MODEL_PROFILE", "local-llm")
    monkeypatch.setenv("LOCAL_MODEL_FOLDER", str(tmp_path))
    assert command.main() == 2
    assert "run `make models`" in capsys.readouterr().err


# ---- with the local models


@dataclass
class ScriptedWriter:
    """Writes one sentence a call, as told, each about the first passage."""

    sentences: list[str]

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:  # noqa: ARG002 - the port's
        ids = tool.schema["properties"]["sentences"]["items"]["properties"]["passages"]["items"]["enum"]
        said = {"sentences": [{"text": self.sentences.pop(0), "passages": ids[:1]}]}
        return Answer(said, 10, 5, "scripted", "tool_use")


@pytest.mark.parametrize(
    ("second", "stored_rate", "for_review"),
    [("Fees are due within 14 days.", 1.0, ()), ("Fees are due within 42 days.", 0.0, ("terms",))],
    ids=["mended", "for a person"],
)
def test_draft_that_is_not_supported_is_written_again_and_then_given_to_a_person(
    second: str, stored_rate: float, for_review: tuple[str, ...]
) -> None:
    document = SampleDocument("terms", passages_of("Fees are due within 14 days. The bank tells you before."))
    writer = Measured(ScriptedWriter(["Fees are due within 41 days.", second]))
    quality = summary_quality.assess([(document, "Fees are due within 14 days.")], writer, light_models().embed)
    assert (quality.first_support_rate, quality.support_rate) == (0.0, stored_rate)
    assert quality.for_review == for_review
    assert [one.text for one in quality.unsupported] == [second] * len(for_review)
    assert (writer.calls, writer.input_tokens, writer.output_tokens) == (2, 20, 10)


def test_what_the_function_runs_with_is_what_the_tuning_half_chooses() -> None:
    tuning, _ = halves()
    chosen = choose(grounding_quality.judge_pairs(tuning, light_models().embed))
    assert (chosen.weight, chosen.threshold) == (SIMILARITY_WEIGHT, SUPPORT_THRESHOLD)


def test_every_bar_is_kept_and_one_that_is_not_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOCAL_MODEL_PROFILE", raising=False)
    monkeypatch.setattr(command, "LightModels", light_models)
    assert command.main() == 0
    monkeypatch.setattr(command, "BARS", command.BARS | {"hit rate at 3": 1.01})
    monkeypatch.setattr(command, "grounding_figures", lambda _: dict.fromkeys(command.BARS, 1.0))
    assert command.main() == 1
    assert "UNDER  hit rate at 3" in capsys.readouterr().out


def test_summaries_of_all_systems_have_figures() -> None:
    pairs = documents_with_references(load_documents())[:1]
    quality = summary_quality.assess(pairs, light_models(), light_models().embed)
    assert quality.rouge.keys() == {"the flow", "first sentences", "TextRank"}
    assert quality.documents == 1
    assert quality.support_rate == quality.first_support_rate == 1.0
    assert quality.for_review == ()
    assert quality.unsupported == ()
