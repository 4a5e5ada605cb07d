"""agent_tools: what an agent can look up and do at the bank, for the person in the session and for nobody else.

Trigger: invoked with the event of a Bedrock agent's action group (functionSchema), by answer_chat, a Bedrock agent or
         an investigation. The tools are backbone.tool_catalogue's; whose affairs it is about stands in
         sessionAttributes.
Answers: responseBody TEXT = {"state", "facts", "data", "citations"}; state refused for an argument, or what the person
         may not. responseState FAILURE where a service is away or the session is malformed.
Emits:   CardBlocked, ActionProposed, CaseOpened, TransactionReleased.
         Idempotent by: conversation, turn, tool and arguments; a proposal of a case also by what it is about.
Retries: none here; the caller asks again, and finds done what was done.

Two habits of Powertools' resolver (3.37) would hide a defect, so the serializer below undoes both: a body that is a
text is encoded twice ("\\"...\\""), and an exception becomes a body "Error: ..." that looks like an answer. Our tools
answer objects, which are encoded once; so a text can only be the report of an exception, and that is raised again.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler.bedrock_agent_function import (
    BedrockAgentFunctionResolver,
    BedrockFunctionResponse,
)
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.action_rows import ActionRowsByCard
from backbone.case_rows import CaseIndex, CaseRows
from backbone.clients import client
from backbone.documents import DocumentBucket
from backbone.errors import Rejected, Retryable
from backbone.json_objects import encode
from backbone.knowledge_base import PassageReader
from backbone.model import Model
from backbone.publishing import EventBus
from backbone.settings import from_environment
from backbone.tool_catalogue import INVESTIGATION_TOOLS, TOOLS, ToolSpec
from backbone.transaction_change_rows import TransactionChangeRows
from card_rows import CardRows
from card_tools import block_card, list_cards
from case_tools import open_case
from change_tools import refund, release_transaction
from customer_documents import CustomerDocuments
from document_tools import Search, search_documents
from evidence_rows import CounterRows, HistoryRows
from evidence_tools import review_card, review_past_cases, review_terminal
from index_search import IndexSearch
from knowledge_base_search import KnowledgeBaseSearch
from occasions import Occasion
from tool_answers import ToolAnswer, failed, refused
from tool_arguments import ArgumentRefusedError, read_arguments
from tool_session import AGENT, MalformedSessionError, Session, read_session
from transaction_rows import TransactionRows
from transaction_tools import DEFAULT_DAYS, explain_flag, list_transactions

# One embedding takes a fraction of a second; shorter than the function's own timeout (30 s).
MODEL_TIMEOUT_SECONDS = 10

type Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    cards_table_name: str
    cards_index_name: str
    transactions_table_name: str
    transactions_index_name: str
    transactions_terminal_index_name: str
    profiles_table_name: str
    cases_table_name: str
    cases_customer_index_name: str
    actions_table_name: str
    actions_card_index_name: str
    documents_bucket_name: str
    documents_table_name: str
    documents_index_name: str
    event_bus_name: str
    embedding_model_id: str
    card_block_approval_amount: int
    release_approval_amount: int
    knowledge_base_id: str = ""


class UnhandledToolError(Exception):
    """A tool raised what is no refusal and no failure of a service: a defect, with the exception as its cause."""


def body_text(body: object) -> str:
    """A tool's answer as JSON, once. A text is Powertools' report of an exception: UnhandledToolError."""
    if isinstance(body, str):
        raise UnhandledToolError(body) from sys.exception()
    return json.dumps(body, ensure_ascii=False, allow_nan=False)


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
cards = CardRows(client("dynamodb"), settings.cards_table_name, settings.cards_index_name)
actions = ActionRowsByCard(client("dynamodb"), settings.actions_table_name, settings.actions_card_index_name)
cases = CaseRows(client("dynamodb"), settings.cases_table_name)
transactions = TransactionRows(client("dynamodb"), settings.transactions_table_name, settings.transactions_index_name)
paid_transactions = TransactionChangeRows(
    client("dynamodb"), settings.transactions_table_name, settings.actions_table_name
)
history = HistoryRows(
    client("dynamodb"),
    settings.transactions_table_name,
    settings.transactions_index_name,
    settings.transactions_terminal_index_name,
)
counters = CounterRows(client("dynamodb"), settings.profiles_table_name)
past_cases = CaseIndex(
    client("dynamodb"), settings.cases_table_name, by_status="", by_customer=settings.cases_customer_index_name
)
documents = CustomerDocuments(
    client("dynamodb"),
    settings.documents_table_name,
    settings.documents_index_name,
    DocumentBucket(client("s3"), settings.documents_bucket_name),
)
bus = EventBus(client("events"), settings.event_bus_name)
model = Model(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), "", settings.embedding_model_id)
resolver = BedrockAgentFunctionResolver(serializer=body_text)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("ToolCalls", MetricUnit.Count, 1)
    return resolver.resolve(event, context)


def run_list_cards(session: Session, _: Arguments) -> ToolAnswer:
    return list_cards(session, cards=cards)


def run_list_transactions(session: Session, arguments: Arguments) -> ToolAnswer:
    return list_transactions(
        session,
        arguments.get("cardId"),
        arguments.get("days", DEFAULT_DAYS),
        arguments.get("onlyFlagged") == "true",
        transactions=transactions,
        cards=cards,
        now=time.time(),
    )


def run_explain_flag(session: Session, arguments: Arguments) -> ToolAnswer:
    return explain_flag(
        session, arguments.get("transactionId"), transactions=transactions, cards=cards, now=time.time()
    )


def run_search_documents(session: Session, arguments: Arguments) -> ToolAnswer:
    return search_documents(session, arguments["question"], documents=documents, search=document_search())


def run_open_case(session: Session, arguments: Arguments) -> ToolAnswer:
    return open_case(
        occasion(session),
        arguments["subject"],
        arguments.get("transactionId"),
        cases=cases,
        transactions=transactions,
        bus=bus,
    )


def run_block_card(session: Session, arguments: Arguments) -> ToolAnswer:
    return block_card(
        occasion(session),
        arguments["cardId"],
        arguments["reason"],
        cards=cards,
        spending=transactions,
        actions=actions,
        bus=bus,
        approval_amount=settings.card_block_approval_amount,
    )


def run_release_transaction(session: Session, arguments: Arguments) -> ToolAnswer:
    return release_transaction(
        occasion(session),
        arguments["transactionId"],
        paid_transactions=paid_transactions,
        actions=actions,
        bus=bus,
        approval_amount=settings.release_approval_amount,
    )


def run_refund(session: Session, arguments: Arguments) -> ToolAnswer:
    return refund(
        occasion(session),
        arguments["transactionId"],
        paid_transactions=paid_transactions,
        actions=actions,
        bus=bus,
    )


def run_review_card(session: Session, arguments: Arguments) -> ToolAnswer:
    return review_card(
        session,
        arguments["transactionId"],
        transactions=transactions,
        history=history,
        counters=counters,
        cards=cards,
    )


def run_review_terminal(session: Session, arguments: Arguments) -> ToolAnswer:
    return review_terminal(
        session, arguments["transactionId"], transactions=transactions, history=history, counters=counters
    )


def run_review_past_cases(session: Session, _: Arguments) -> ToolAnswer:
    return review_past_cases(session, cases=past_cases, now=time.time())


def document_search() -> Search:
    """What finds passages: the knowledge base where parameter Retrieval made one, else the documents' own indexes."""
    if not settings.knowledge_base_id:
        return IndexSearch(documents, model.embed, time.monotonic)
    runtime = client("bedrock-agent-runtime", MODEL_TIMEOUT_SECONDS)
    return KnowledgeBaseSearch(PassageReader(runtime, settings.knowledge_base_id), model.embed, time.time)


RUN: dict[str, Callable[[Session, Arguments], ToolAnswer]] = {
    "list_cards": run_list_cards,
    "list_transactions": run_list_transactions,
    "explain_flag": run_explain_flag,
    "search_documents": run_search_documents,
    "open_case": run_open_case,
    "block_card": run_block_card,
    "release_transaction": run_release_transaction,
    "refund": run_refund,
    "review_card": run_review_card,
    "review_terminal": run_review_terminal,
    "review_past_cases": run_review_past_cases,
}


def respond(tool: ToolSpec) -> BedrockFunctionResponse:
    """Runs ``tool`` with the current event's arguments for the current event's session."""
    answer = answer_of(tool)
    metrics.add_metric(f"Tool{answer.state.title()}", MetricUnit.Count, 1)
    logger.info("Tool ran.", tool=tool.name, state=answer.state)
    return BedrockFunctionResponse(encode(answer), response_state="FAILURE" if answer.state == "failed" else None)


def answer_of(tool: ToolSpec) -> ToolAnswer:
    event = resolver.current_event
    if event is None:
        raise ValueError("there is no current event")
    try:
        session = read_session(event.session_attributes)
        logger.append_keys(correlation_id=session.correlation_id)
        if tool in INVESTIGATION_TOOLS and session.role != AGENT:
            return refused(f"{tool.name} is for the bank's own investigations; nobody uses it in a chat.")
        arguments = read_arguments(tool, ((one.name, one.value) for one in event.parameters))
        return RUN[tool.name](session, arguments)
    except ArgumentRefusedError as wrong:
        return refused(str(wrong))
    except MalformedSessionError as malformed:
        logger.error("The caller's session is malformed.", tool=tool.name, reason=str(malformed))
        return failed("This cannot be looked up: it is not known on whose behalf.")
    except (Retryable, Rejected) as away:
        logger.warning("A tool failed.", tool=tool.name, reason=str(away))
        return failed("This cannot be done just now. Try again in a moment.")


def occasion(session: Session) -> Occasion:
    """This invocation, for the events that come of it."""
    return Occasion(session, time.time(), contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID")))


for _tool in (*TOOLS, *INVESTIGATION_TOOLS):
    resolver.tool(name=_tool.name, description=_tool.description)(partial(respond, _tool))
