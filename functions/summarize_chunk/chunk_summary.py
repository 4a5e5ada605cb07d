"""What a chunk of a document says, in a few sentences, each with the passages that say it.

Knows no AWS: what writes is an argument.
"""

import math

from backbone.documents import Chunk, ChunkSummary, ModelUse
from backbone.errors import Rejected
from backbone.model import Answer
from backbone.summary_writing import Source, Writer, write_sentences

MAXIMUM_SENTENCES = 8
# A full chunk (12,000 characters) gets all eight sentences, a single paragraph one.
_CHARACTERS_PER_SENTENCE = 1_500
_SYSTEM = (
    "You summarise one part of a document for a reader who decides by your summary. Write at most {sentences} "
    "sentences, the most important first to be read in the order of the text, in the language of the text. Each "
    "sentence states one thing that the passages state, and names the ids of the passages that state it. Copy names, "
    "numbers, amounts, dates and conditions exactly. Add no opinion, no conclusion of your own, and nothing that the "
    "passages do not say; where they leave something open, leave it open."
)


def summarize(chunk: Chunk, writer: Writer) -> tuple[ChunkSummary, Answer]:
    """The chunk's summary, and the model's answer for its counts.

    Raises Rejected (EMPTY) for a chunk without passages, and what ``writer`` raises.
    """
    if not chunk.passages:
        raise Rejected(f"EMPTY: Part {chunk.chunk} of the document has no text.")
    characters = sum(len(passage.text) for passage in chunk.passages)
    at_most = min(MAXIMUM_SENTENCES, math.ceil(characters / _CHARACTERS_PER_SENTENCE))
    sources = [Source(passage.id, passage.text) for passage in chunk.passages]
    sentences, answer = write_sentences(writer, _SYSTEM.format(sentences=at_most), sources, at_most=at_most)
    use = ModelUse(answer.model_id, answer.profile, answer.input_tokens, answer.output_tokens)
    return ChunkSummary(chunk.document_id, chunk.chunk, tuple(sentences), use), answer
