"""The documents of this repository in passages and chunks, as the flow's own first step cuts them."""

from dataclasses import dataclass
from pathlib import Path

from backbone.documents import Chunk, Passage
from document_extraction import extract
from passage_packing import chunks_of, passages_of

FOLDER = Path(__file__).parents[2] / "documents"
FILES = ("annual-report.html", "dispute-policy.docx", "technical-report.txt", "terms-and-conditions.pdf")
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """``name`` is its file's, without the ending."""

    name: str
    passages: tuple[Passage, ...]

    def chunks(self) -> list[Chunk]:
        """The document as the summarising step gets it."""
        return [Chunk(self.name, number, tuple(some)) for number, some in enumerate(chunks_of(self.passages), 1)]


def load_documents() -> list[SampleDocument]:
    """The sample documents; raises what reading them raises."""
    documents = []
    for name in FILES:
        text = extract((FOLDER / name).read_bytes(), seconds=_SECONDS).text
        documents.append(SampleDocument(Path(name).stem, tuple(passages_of(text.paragraphs))))
    return documents
