"""``python -m evaluation.documents``: prints how well documents are judged, summarised and found.

Summaries are written by the models of the profile that LOCAL_MODEL_PROFILE names; the check and the search do not
depend on it. Exits with 1 where a figure is under its bar, with 2 where the profile's models are not there. The bars
are for the test half, and the same for every profile.
"""

import os
import sys
from collections.abc import Sequence

from evaluation.documents import grounding_quality, retrieval_quality, summary_quality
from evaluation.documents.grounding_quality import Judged, Quality
from evaluation.documents.labelled_pairs import halves
from evaluation.documents.local_models import LightModels, Measured, writer_of
from evaluation.documents.sample_documents import load_documents
from grounding import SIMILARITY_WEIGHT, SUPPORT_THRESHOLD
from local.models.description import describe
from local.models.profile import ProfileError, profile_from

# Figure and the least that it may be. What is called unsupported must be found before all: 95 of 100.
BARS = {
    "recall of unsupported": 0.95,
    "F1 of unsupported": 0.93,
    "F1 of supported": 0.90,
    "lead over similarity alone (mean F1)": 0.15,
    "support rate of summaries": 0.95,
    "ROUGE-1 of the flow beside TextRank": 0.0,
    "hit rate at 3": 0.85,
}


def main() -> int:
    """Measures all, prints it, and compares with the bars."""
    try:
        profile = profile_from(os.environ)
    except ProfileError as impossible:
        print(impossible, file=sys.stderr)
        return 2
    models = LightModels()
    print(describe(profile)["inWords"])
    figures = grounding_figures(models)
    with writer_of(profile, models) as writer:
        figures |= summary_figures(models, Measured(writer))
    figures |= retrieval_figures(models)
    print("\nbars")
    under = [name for name, least in BARS.items() if figures[name] < least]
    for name, least in BARS.items():
        print(f"  {'UNDER' if name in under else 'ok   '}  {name:40} {figures[name]:6.3f}  at least {least:.2f}")
    return 1 if under else 0


def grounding_figures(models: LightModels) -> dict[str, float]:
    """Prints how well supported and unsupported are told apart; returns the figures that have a bar."""
    tuning, test = (grounding_quality.judge_pairs(half, models.embed) for half in halves())
    chosen = grounding_quality.choose(tuning)
    print(f"\ngrounding: {len(tuning)} pairs to tune on, {len(test)} to test, split by text")
    print(f"  chosen on the tuning half: weight {chosen.weight}, threshold {chosen.threshold}", end="; ")
    print(f"in use: {SIMILARITY_WEIGHT}, {SUPPORT_THRESHOLD}; similarity alone: {chosen.baseline_threshold}")
    decide = grounding_quality.full_check(SIMILARITY_WEIGHT, SUPPORT_THRESHOLD)
    alone = grounding_quality.similarity_alone(chosen.baseline_threshold)
    print(f"  {'':26}{'supported':>22}{'unsupported':>26}")
    print(f"  {'':26}{'precision  recall  F1':>24}{'precision  recall  F1':>26}")
    for half, name in ((tuning, "tuning"), (test, "test")):
        _print_quality(f"{name}: the check", grounding_quality.assess(half, decide))
        _print_quality(f"{name}: similarity alone", grounding_quality.assess(half, alone))
    _print_kinds(test, decide)
    ours, baseline = grounding_quality.assess(test, decide), grounding_quality.assess(test, alone)
    return {
        "recall of unsupported": ours.unsupported.recall,
        "F1 of unsupported": ours.unsupported.f1,
        "F1 of supported": ours.supported.f1,
        "lead over similarity alone (mean F1)": ours.mean_f1 - baseline.mean_f1,
    }


def summary_figures(models: LightModels, writer: Measured) -> dict[str, float]:
    """Prints ROUGE and support rates; returns the figures that have a bar."""
    pairs = summary_quality.documents_with_references(load_documents())
    summaries = summary_quality.assess(pairs, writer, models.embed)
    print(f"\nsummaries: {summaries.documents} documents, one reference each (indicative); ROUGE-1, -2, -L, F1")
    for system, figures in summaries.rouge.items():
        print(f"  {system:26}{figures.one:8.3f}{figures.two:8.3f}{figures.longest:8.3f}")
    print(f"  support rate of the flow's sentences {summaries.support_rate:.3f}", end="")
    print(
        f" (first drafts {summaries.first_support_rate:.3f}); to a person: {', '.join(summaries.for_review) or 'none'}"
    )
    for one in summaries.unsupported:
        print(f"    not supported: {one.text} {' '.join(one.problems)}")
    print(
        f"  {writer.calls} calls, {writer.input_tokens} tokens in, {writer.output_tokens} out, {writer.seconds:.1f} s"
    )
    return {
        "support rate of summaries": summaries.support_rate,
        "ROUGE-1 of the flow beside TextRank": summaries.rouge["the flow"].one - summaries.rouge["TextRank"].one,
    }


def retrieval_figures(models: LightModels) -> dict[str, float]:
    """Prints hit rates; returns the figure that has a bar."""
    documents = load_documents()
    questions = retrieval_quality.load_questions()
    found = retrieval_quality.assess(questions, retrieval_quality.by_meaning(documents, models.embed))
    words = retrieval_quality.assess(questions, retrieval_quality.by_words(documents))
    passages = sum(len(document.passages) for document in documents)
    print(f"\nretrieval: {len(questions)} questions over {passages} passages; hit rate at 3, mean reciprocal rank")
    for name, quality in (("by meaning", found), ("by words", words)):
        print(f"  {name:26}{quality.hit_rate:8.3f}{quality.mean_reciprocal_rank:8.3f}")
    for question in found.missed:
        print(f"    not found by meaning: {question}")
    return {"hit rate at 3": found.hit_rate}


def _print_quality(name: str, quality: Quality) -> None:
    cells = [(one.precision, one.recall, one.f1) for one in (quality.supported, quality.unsupported)]
    print(f"  {name:26}" + "    ".join("".join(f"{figure:8.3f}" for figure in cell) for cell in cells))


def _print_kinds(judged: Sequence[Judged], decide: grounding_quality.Decide) -> None:
    kinds = grounding_quality.found_by_kind(judged, decide)
    print("  test, judged rightly: " + ", ".join(f"{kind} {right}/{total}" for kind, (right, total) in kinds.items()))


if __name__ == "__main__":
    sys.exit(main())
