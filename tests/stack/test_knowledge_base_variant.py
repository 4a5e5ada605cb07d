"""Retrieval=knowledge-base: the same template and the same documents, searched by the knowledge base."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from local.process import EngineProcess
from tests.documents_builder import sample_document
from tests.engine.stacks import Client
from tests.stack.agent_tools_calls import tool_said
from tests.stack.deployed import Stack, deploy, iam_decision
from tests.stack.observers import observe_bus
from tests.stack.test_documents import outcome, stored, upload

NAME = "backbone-knowledge-base"
POLICY, TERMS = "dispute-policy.docx", "terms-and-conditions.pdf"
READER, OTHER = "CUST-000071", "CUST-000072"
QUESTION = "How long does the bank have to decide a card dispute?"


@pytest.fixture(scope="module")
def variant(stack: Stack, engine: EngineProcess, aws: Client) -> Iterator[Stack]:
    """A second stack beside the first, in the same account, with a knowledge base."""
    made = deploy(NAME, engine, aws, {"Retrieval": "knowledge-base"})
    assert made.outputs["TransactionsStreamName"] != stack.outputs["TransactionsStreamName"]
    yield made
    aws("cloudformation").delete_stack(StackName=NAME)
    aws("cloudformation").get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})


@pytest.fixture(scope="module")
def documents(variant: Stack) -> Mapping[str, str]:
    """The ids of two customers' documents by the customer, each summarised."""
    with observe_bus(variant) as bus:
        ids = {
            READER: upload(variant, sample_document(TERMS), TERMS, READER),
            OTHER: upload(variant, sample_document(POLICY), POLICY, OTHER),
        }
        for document in ids.values():
            event = outcome(bus, document)
            assert event["detail-type"] == "DocumentSummarized", event
    return ids


def asked(stack: Stack, customer: str, question: str = QUESTION) -> Any:
    """What search_documents answers to a customer in a chat."""
    asking = {"customer_id": customer, "about": customer, "person_id": f"person-of-{customer}"}
    body = tool_said(stack, "search_documents", {"question": question}, **asking)
    assert body["state"] == "done", body
    return body


def test_passages_of_the_customers_own_document_answer_as_they_stand_there(
    variant: Stack, documents: Mapping[str, str]
) -> None:
    answer = asked(variant, OTHER)
    assert answer["data"] == {"documentsSearched": 1}
    passages = {
        passage["id"]: passage["text"]
        for passage in stored(variant, f"work/{documents[OTHER]}/passages.json")["passages"]
    }
    assert answer["citations"]
    for citation in answer["citations"]:
        assert (citation["documentId"], citation["fileName"]) == (documents[OTHER], POLICY)
        assert citation["text"] == " ".join(passages[citation["passage"]].split())


def test_nobody_is_shown_a_passage_of_somebody_elses_document(variant: Stack, documents: Mapping[str, str]) -> None:
    """The question is answered best by a document of the other customer's."""
    assert documents[OTHER] in {citation["documentId"] for citation in asked(variant, OTHER)["citations"]}
    cited = {citation["documentId"] for citation in asked(variant, READER)["citations"]}
    assert cited <= {documents[READER]}
    assert asked(variant, "CUST-000073")["citations"] == []


def test_no_index_is_written_beside_the_knowledge_base(variant: Stack, documents: Mapping[str, str]) -> None:
    place = variant.resource("DocumentsBucket")
    written = variant.client("s3").list_objects_v2(Bucket=place, Prefix="index/").get("Contents", [])
    assert (len(documents), written) == (2, [])


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("StoreSummaryRole", "bedrock:IngestKnowledgeBaseDocuments"),
        ("StoreSummaryRole", "bedrock:GetKnowledgeBaseDocuments"),
        ("AgentToolsRole", "bedrock:Retrieve"),
    ],
)
def test_role_may_use_this_knowledge_base_and_no_other(variant: Stack, role: str, action: str) -> None:
    base = variant.client("bedrock-agent").get_knowledge_base(knowledgeBaseId=variant.resource("PassageKnowledgeBase"))
    arn = base["knowledgeBase"]["knowledgeBaseArn"]
    decisions = [iam_decision(variant, role, action, resource) for resource in (arn, f"{arn[:-3]}XYZ")]
    assert decisions == ["allowed", "implicitDeny"]
