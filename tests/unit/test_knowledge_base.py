"""Passages in a knowledge base: put in whole and waited for, and found for the one customer whose they are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from backbone import knowledge_base
from backbone.documents import Passage
from backbone.errors import Rejected, Retryable
from backbone.knowledge_base import FoundPassage, PassageOrigin, PassageReader, PassageWriter
from document_tools import StoredDocument, search_documents
from index_search import IndexSearch
from knowledge_base_search import KnowledgeBaseSearch
from tests.unit.bank_builder import OWNER, a_session
from tests.unit.document_builder import word_vector

BASE, SOURCE = "KB12345678", "DS12345678"
PLACE = {"knowledgeBaseId": BASE, "dataSourceId": SOURCE}
ORIGIN = PassageOrigin("doc-1", OWNER, "contract.pdf", 1_800_000_000)
LOAN = Passage("p1", 3, "The loan is EUR 12,000.")
NOTE = Passage("p2", None, "Interest is 4.5 percent.")
STRANGER = "CUST-999999"


def client(service: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that asks one thing after the other, so that its stubbed answers come in order."""
    monkeypatch.setattr(knowledge_base, "_CALLS_AT_ONCE", 1)
    return boto3.client(service, region_name="eu-central-1")  # type: ignore[call-overload] # the name is no literal


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Any:
    return client("bedrock-agent", monkeypatch)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Any:
    return client("bedrock-agent-runtime", monkeypatch)


class Clock:
    """Seconds that pass while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def put(agent: Any, *passages: Passage, clock: Clock | None = None) -> None:
    time = clock or Clock()
    PassageWriter(agent, BASE, SOURCE, time, time.sleep).put(passages, ORIGIN, seconds=10)


def details(*statuses: str) -> dict[str, Any]:
    """The service's answer: the state of doc-1/p1, doc-1/p2, ..."""
    return {
        "documentDetails": [
            PLACE
            | {
                "status": status,
                "identifier": {"dataSourceType": "CUSTOM", "custom": {"id": f"doc-1/p{number}"}},
                **({"statusReason": "too long"} if status == "FAILED" else {}),
            }
            for number, status in enumerate(statuses, start=1)
        ]
    }


def ingested(passage: Passage, *more: dict[str, Any]) -> dict[str, Any]:
    def of(key: str, text: str) -> dict[str, Any]:
        return {"key": key, "value": {"type": "STRING", "stringValue": text}}

    return {
        "content": {
            "dataSourceType": "CUSTOM",
            "custom": {
                "customDocumentIdentifier": {"id": f"doc-1/{passage.id}"},
                "sourceType": "IN_LINE",
                "inlineContent": {"type": "TEXT", "textContent": {"data": passage.text}},
            },
        },
        "metadata": {
            "type": "IN_LINE_ATTRIBUTE",
            "inlineAttributes": [
                of("customerId", OWNER),
                of("documentId", "doc-1"),
                of("fileName", "contract.pdf"),
                of("passage", passage.id),
                {"key": "expiresAt", "value": {"type": "NUMBER", "numberValue": 1_800_000_000}},
                *more,
            ],
        },
    }


# ---- putting in


def test_passage_goes_in_under_its_own_id_with_whose_it_is_and_where_it_stands(agent: Any) -> None:
    page = {"key": "page", "value": {"type": "NUMBER", "numberValue": 3}}
    asked = PLACE | {"documents": [ingested(LOAN, page), ingested(NOTE)]}
    with Stubber(agent) as service:
        service.add_response("ingest_knowledge_base_documents", details("INDEXED", "INDEXED"), asked)
        put(agent, LOAN, NOTE)
        service.assert_no_pending_responses()


def test_passages_go_in_ten_a_call(agent: Any) -> None:
    passages = [Passage(f"p{number}", 1, f"Passage {number}.") for number in range(1, 13)]
    with Stubber(agent) as service:
        for count in (10, 2):
            service.add_response("ingest_knowledge_base_documents", details(*["INDEXED"] * count))
        put(agent, *passages)
        service.assert_no_pending_responses()


def test_what_is_not_indexed_yet_is_looked_at_again_until_it_is(agent: Any) -> None:
    clock = Clock()
    identity = {"dataSourceType": "CUSTOM", "custom": {"id": "doc-1/p1"}}
    look = PLACE | {"documentIdentifiers": [identity]}
    with Stubber(agent) as service:
        service.add_response("ingest_knowledge_base_documents", details("STARTING", "INDEXED"))
        service.add_response("get_knowledge_base_documents", details("IN_PROGRESS"), look)
        service.add_response("get_knowledge_base_documents", details("INDEXED"), look)
        put(agent, LOAN, NOTE, clock=clock)
        service.assert_no_pending_responses()
    assert clock.now == 4


def test_what_is_not_indexed_in_time_is_tried_again_later(agent: Any) -> None:
    with Stubber(agent) as service:
        service.add_response("ingest_knowledge_base_documents", details("STARTING"))
        for _ in range(10):
            service.add_response("get_knowledge_base_documents", details("PENDING"))
        with pytest.raises(Retryable, match="has not indexed 1 passages yet"):
            put(agent, LOAN)


@pytest.mark.parametrize("answer", [details("FAILED"), details("IGNORED"), {"documentDetails": []}])
def test_passage_that_was_not_taken_is_never_passed_over(agent: Any, answer: dict[str, Any]) -> None:
    with Stubber(agent) as service:
        service.add_response("ingest_knowledge_base_documents", answer)
        with pytest.raises(Retryable):
            put(agent, LOAN)


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("ThrottlingException", 429, Retryable),
        ("InternalServerException", 500, Retryable),
        ("AccessDeniedException", 403, Rejected),
        ("ResourceNotFoundException", 404, Rejected),
    ],
)
def test_failing_knowledge_base_is_judged_as_a_model_is(
    agent: Any, runtime: Any, code: str, status: int, raised: type[Exception]
) -> None:
    with Stubber(agent) as service:
        service.add_client_error("ingest_knowledge_base_documents", code, http_status_code=status)
        with pytest.raises(raised):
            put(agent, LOAN)
    with Stubber(runtime) as service:
        service.add_client_error("retrieve", code, http_status_code=status)
        with pytest.raises(raised):
            nearest(runtime)


def test_long_file_name_is_cut_to_what_a_vector_may_carry(agent: Any) -> None:
    origin = PassageOrigin("doc-1", OWNER, "ä" * 300, 1)
    seen: list[dict[str, Any]] = []
    agent.meta.events.register(
        "provide-client-params.*",
        lambda params, **_: seen.extend(params["documents"][0]["metadata"]["inlineAttributes"]),
    )
    with Stubber(agent) as service:
        service.add_response("ingest_knowledge_base_documents", details("INDEXED"))
        PassageWriter(agent, BASE, SOURCE).put([LOAN], origin, seconds=10)
    assert {"key": "fileName", "value": {"type": "STRING", "stringValue": "ä" * 100}} in seen


# ---- finding


def result(customer_id: str = OWNER, **more: Any) -> dict[str, Any]:
    metadata = {
        "customerId": customer_id,
        "documentId": "doc-1",
        "fileName": "contract.pdf",
        "passage": "p1",
        "page": 3.0,
    }
    return {"content": {"text": LOAN.text}, "score": 0.9, "metadata": metadata | more}


def nearest(runtime: Any) -> list[FoundPassage]:
    return PassageReader(runtime, BASE).nearest("How much?", customer_id=OWNER, now=1_700_000_000.9, at_most=3)


def test_only_the_customers_own_passages_that_may_still_be_shown_are_asked_for(runtime: Any) -> None:
    only = [
        {"equals": {"key": "customerId", "value": OWNER}},
        {"greaterThan": {"key": "expiresAt", "value": 1_700_000_000}},
    ]
    asked = {
        "knowledgeBaseId": BASE,
        "retrievalQuery": {"text": "How much?"},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 3, "filter": {"andAll": only}}},
    }
    with Stubber(runtime) as service:
        service.add_response("retrieve", {"retrievalResults": [result()]}, asked)
        assert nearest(runtime) == [FoundPassage("doc-1", "contract.pdf", LOAN)]


@pytest.mark.parametrize(
    "answered",
    [result(STRANGER), {"content": {"text": "x"}}, result(passage=None, page="three"), result() | {"content": {}}],
    ids=["a stranger's", "without attributes", "malformed", "without text"],
)
def test_answer_that_is_no_passage_of_the_customers_is_shown_to_nobody(runtime: Any, answered: dict[str, Any]) -> None:
    with Stubber(runtime) as service:
        service.add_response("retrieve", {"retrievalResults": [result(), answered]})
        with pytest.raises(Rejected, match="INTERNAL"):
            nearest(runtime)


# ---- the tool


class Library:
    """Documents and a knowledge base in memory; passages come in the order given, whatever was asked."""

    def __init__(self, *texts: str, is_all: bool = True) -> None:
        self.found = [
            FoundPassage("doc-1", "contract.pdf", Passage(f"p{number}", 1, text))
            for number, text in enumerate(texts, start=1)
        ]
        self.is_all = is_all
        self.asked: list[tuple[str, float, int]] = []

    def newest(self, customer_id: str, at_most: int) -> tuple[list[StoredDocument], bool]:
        assert (customer_id, at_most) == (OWNER, 50)
        return [StoredDocument("doc-1", "contract.pdf", is_indexed=True)], self.is_all

    def nearest(self, question: str, *, customer_id: str, now: float, at_most: int) -> list[FoundPassage]:
        assert question == "loan interest"
        self.asked.append((customer_id, now, at_most))
        return self.found


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [word_vector(text) for text in texts]


def facts(library: Library, embedding: Callable[[Sequence[str]], list[list[float]]] = embed) -> tuple[str, ...]:
    search = KnowledgeBaseSearch(library, embedding, lambda: 1_700_000_000.0)
    return search_documents(a_session(), "loan interest", documents=library, search=search).facts


def test_search_is_for_the_sessions_customer_now() -> None:
    library = Library("The loan has interest.")
    facts(library)
    assert library.asked == [(OWNER, 1_700_000_000.0, 3)]


def test_passages_are_shown_nearest_first_and_those_about_something_else_not_at_all() -> None:
    library = Library("Weather.", "A loan and its interest, of course, and much besides.", "The loan has interest.")
    assert facts(library) == (
        'Your document "contract.pdf" says on page 1: "The loan has interest."',
        'Your document "contract.pdf" says on page 1: "A loan and its interest, of course, and much besides."',
    )


def test_nothing_found_is_said_and_embeds_nothing() -> None:
    def never(texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError(texts)

    assert facts(Library(), never) == ("Nothing about this was found in your 1 document.",)


def test_older_documents_than_those_listed_count_as_searched() -> None:
    assert facts(Library("The loan has interest.", is_all=False))[1:] == ()


@pytest.mark.usefixtures("resources")
def test_agent_tools_search_the_knowledge_base_only_where_they_are_told_of_one(
    handler_module: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = handler_module("agent_tools")
    assert isinstance(module.document_search(), IndexSearch)
    monkeypatch.setattr(module, "settings", replace(module.settings, knowledge_base_id=BASE))
    search = module.document_search()
    assert isinstance(search, KnowledgeBaseSearch)
    assert isinstance(search.passages, PassageReader)
    assert search.passages.knowledge_base_id == BASE
