"""One summary out of the summaries of a document's chunks.

Knows no AWS: what writes is an argument.
"""

from collections.abc import Sequence

from backbone.documents import ChunkSummary, Draft, ModelUse
from backbone.errors import Rejected
from backbone.model import Answer
from backbone.summary_writing import Writer, write_sentences
from candidates import Candidate, resolved, sources_of

MAXIMUM_SENTENCES = 10
# A document of several chunks is more than 12,000 characters long: fewer sentences would leave most of it out.
_FEWEST_SENTENCES = 5
_SYSTEM = (
    "You write the summary of a document from the sentences below, which were taken from its parts in order. Write "
    "{at_least} to {at_most} sentences, the points that a reader of the whole document must know, in the order of the "
    "document, in its language, no point twice. Each sentence states one thing and names the ids of the passages that "
    "state it. Copy names, numbers, amounts, dates and conditions exactly. Add nothing that is not there."
)
_STRICTER = (
    "A first summary said things that the document does not say. This time quote: each of your sentences is a "
    "sentence of one passage, word for word, or such a sentence with words left out. Name that one passage."
)


def write_draft(
    document_id: str, attempt: int, candidates: Sequence[Candidate], used: ModelUse, writer: Writer
) -> tuple[Draft, Answer]:
    """The draft written from ``candidates``, quoting from the second attempt on; ``used`` is what came before it.

    Raises Rejected (MODEL_FAILED) where there is nothing to write from, and what ``writer`` raises.
    """
    if not candidates:
        raise Rejected("MODEL_FAILED: The parts of the document gave nothing to write a summary from.")
    at_most = min(MAXIMUM_SENTENCES, len(candidates)) if attempt == 1 else MAXIMUM_SENTENCES
    at_least = min(_FEWEST_SENTENCES, len(candidates)) if attempt == 1 else 1
    system = _SYSTEM.format(at_least=at_least, at_most=at_most) + (f"\n\n{_STRICTER}" if attempt > 1 else "")
    sentences, answer = write_sentences(writer, system, sources_of(candidates), at_least=at_least, at_most=at_most)
    use = ModelUse(
        answer.model_id,
        answer.profile,
        used.input_tokens + answer.input_tokens,
        used.output_tokens + answer.output_tokens,
    )
    return Draft(document_id, attempt, tuple(resolved(one, candidates) for one in sentences), use), answer


def draft_of_one(summary: ChunkSummary) -> Draft:
    """The draft for a document of one chunk: that chunk's summary is the document's, and writing again adds errors."""
    return Draft(summary.document_id, 1, summary.sentences, summary.model)


def total_use(uses: Sequence[ModelUse]) -> ModelUse:
    """The tokens of several calls of one model together (at least one call)."""
    return ModelUse(
        uses[0].model_id,
        uses[0].profile,
        sum(use.input_tokens for use in uses),
        sum(use.output_tokens for use in uses),
    )
