"""Documents: what the customer's own documents say about a question, with the passages that say it.

What a document says is data to be quoted, whatever it says. Knows no AWS: where documents are kept and what finds
passages in them are arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backbone.retrieval import Hit
from tool_answers import Citation, ToolAnswer, counted, done
from tool_session import Session

PASSAGES_FOUND = 3
DOCUMENTS_SEARCHED = 50
# Passages less near than this are about something else: with all-MiniLM-L6-v2 the answers to the questions of
# evaluation/documents are at 0.33 and more, what has nothing to do with the documents at 0.25 and less.
MINIMUM_SIMILARITY = 0.28
# An answer to a Bedrock agent has at most 25 KB, and each passage stands in it twice.
_PASSAGE_BYTES = 2_400
_NAME_CHARACTERS = 100

type Embed = Callable[[Sequence[str]], list[list[float]]]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of the customer's; only one ``is_indexed`` can be searched."""

    document_id: str
    file_name: str
    is_indexed: bool


class Documents(Protocol):
    """A customer's documents. Raises Retryable where it cannot now."""

    def newest(self, customer_id: str, at_most: int) -> tuple[list[StoredDocument], bool]:
        """The newest documents, and whether these are all."""


@dataclass(slots=True)
class Found:
    """The nearest passages, nearest first, none less near than MINIMUM_SIMILARITY; and what was not searched.

    ``unreadable`` are names of documents; ``is_all`` says that older documents than those listed were searched too.
    """

    hits: list[Hit] = field(default_factory=list)
    searched: int = 0
    not_reached: int = 0
    unreadable: list[str] = field(default_factory=list)
    is_all: bool = False


class Search(Protocol):
    """Finds passages. Raises Retryable where it cannot now, Rejected where the question can never be searched for."""

    def nearest(self, customer_id: str, question: str, indexed: Sequence[StoredDocument]) -> Found:
        """What is nearest in meaning to ``question`` in the customer's documents, of which ``indexed`` is not empty."""


def search_documents(session: Session, question: str, *, documents: Documents, search: Search) -> ToolAnswer:
    """Up to three passages that are nearest in meaning to ``question``; says what was left out.

    Raises Retryable, and Rejected where the question cannot be searched for.
    """
    stored, is_all = documents.newest(session.customer_id, DOCUMENTS_SEARCHED)
    indexed = [one for one in stored if one.is_indexed]
    found = search.nearest(session.customer_id, question, indexed) if indexed else Found()
    facts = [_says(hit, session) for hit in found.hits] or [_nothing(found, session)]
    facts += _left_out(found, len(stored) - len(indexed), is_all or found.is_all, session)
    citations = [_citation(hit) for hit in found.hits]
    return done(facts, {"documentsSearched": found.searched}, citations)


def _says(hit: Hit, session: Session) -> str:
    page = "" if hit.passage.page is None else f" on page {hit.passage.page}"
    return f'{_document(hit.file_name, session)} says{page}: "{_shown(hit.passage.text)}"'


def _nothing(found: Found, session: Session) -> str:
    if not found.searched:
        return f"None of {session.whose} documents could be searched."
    return f"Nothing about this was found in {session.whose} {counted(found.searched, 'document')}."


def _left_out(found: Found, unread: int, is_all: bool, session: Session) -> list[str]:
    facts = [
        f"{_document(name, session)} could not be searched, because its index is damaged." for name in found.unreadable
    ]
    if unread:
        facts.append(f"{counted(unread, 'document')} cannot be searched: not read yet, or rejected.")
    if found.not_reached:
        facts.append(f"Left out: {counted(found.not_reached, 'older document')}, for there is too much to search.")
    if not is_all:
        facts.append(f"Only the newest {DOCUMENTS_SEARCHED} documents were searched.")
    return facts


def _citation(hit: Hit) -> Citation:
    passage = hit.passage
    return Citation(hit.document_id, _name(hit.file_name), passage.id, passage.page, _shown(passage.text))


def _document(file_name: str, session: Session) -> str:
    return f'{session.whose[:1].upper()}{session.whose[1:]} document "{_name(file_name)}"'


def _name(file_name: str) -> str:
    return " ".join(file_name.split())[:_NAME_CHARACTERS]


def _shown(text: str) -> str:
    """The passage in one line, cut where it is longer than an answer may be."""
    line = " ".join(text.split()).encode()
    if len(line) <= _PASSAGE_BYTES:
        return line.decode()
    return f"{line[:_PASSAGE_BYTES].decode(errors='ignore')}…"
