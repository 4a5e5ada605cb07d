"""Documents put directly into a knowledge base: kept with their text and attributes, so that Retrieve finds them.

The engine notes that a document was ingested, throws its text away, takes any data source and any document, and answers
under names that the SDK does not read. Follows the API reference of ``bedrock-agent`` and
https://docs.aws.amazon.com/bedrock/latest/userguide/kb-direct-ingestion.html:
one to ten documents a call; a document under a known id takes its place; the answer comes before it is done (STARTING).

Documents are inline texts of a data source of type CUSTOM with inline attributes; what is of another kind is refused.
The knowledge base's role must be able to embed and to put vectors, and a vector carries at most 2,048 bytes of
attributes that can be filtered by: where not, the document is FAILED, with the reason. Retrieve embeds with the local
model (``bedrock_knowledge_bases``), whatever dimension the index says.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ministack.services import bedrock_agent

from local.overlay.authorization import Response, refusal_of_role
from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.service_routes import ServiceError, invalid

_AT_ONCE = 10
_LONGEST_ATTRIBUTES_BYTES = 2_048
_PRINCIPAL = "bedrock.amazonaws.com"
_VALUES = {
    "BOOLEAN": "booleanValue",
    "NUMBER": "numberValue",
    "STRING": "stringValue",
    "STRING_LIST": "stringListValue",
}

type Json = Mapping[str, Any]
type Operation = Callable[[str, str, Json], list[dict[str, Any]]]


def install(_engine: Engine) -> None:
    for name, operation, status in (
        ("_ingest_kb_documents", _ingest, 202),
        ("_get_kb_documents", _get, 200),
        ("_list_kb_documents", _list, 200),
        ("_delete_kb_documents", _delete, 202),
    ):
        replace(bedrock_agent, name, _served(operation, status))


def _served(operation: Operation, status: int) -> Callable[[str, str, bytes], Response]:
    @functools.wraps(operation)
    def serve(base_id: str, source_id: str, body: bytes) -> Response:
        try:
            if f"{base_id}/{source_id}" not in bedrock_agent._data_sources:
                raise ServiceError("ResourceNotFoundException", 404, f"Data source {source_id} does not exist.")
            details = operation(base_id, source_id, json.loads(body or b"{}"))
        except ServiceError as error:
            refused = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
            return error.status, refused, json.dumps({"message": error.message}).encode()
        return status, {"Content-Type": "application/json"}, json.dumps({"documentDetails": details}).encode()

    return serve


# --- The operations


def _ingest(base_id: str, source_id: str, request: Json) -> list[dict[str, Any]]:
    documents = _bounded(request.get("documents"))
    read = [(_id_of(document), *_content(document)) for document in documents]
    if len({identity for identity, _, _ in read}) != len(read):
        raise invalid("The ids of the documents in a request must differ.")
    _require_custom(base_id, source_id)
    refusal = _refusal(base_id)
    for identity, text, attributes in read:
        key = f"{base_id}/{source_id}/{identity}"
        failed = refusal or _too_long(attributes)
        bedrock_agent._kb_documents[key] = {
            "knowledgeBaseId": base_id,
            "dataSourceId": source_id,
            "identifier": {"dataSourceType": "CUSTOM", "custom": {"id": identity}},
            "status": "FAILED" if failed else "INDEXED",
            "updatedAt": datetime.now(UTC).isoformat(),
        } | ({"statusReason": failed} if failed else {})
        if not failed:
            location = {"type": "CUSTOM", "customDocumentLocation": {"id": identity}}
            bedrock_agent._kb_document_texts[key] = {"Text": text, "Metadata": attributes, "Location": location}
    return [_detail(base_id, source_id, identity) | {"status": "STARTING"} for identity, _, _ in read]


def _get(base_id: str, source_id: str, request: Json) -> list[dict[str, Any]]:
    named = _bounded(request.get("documentIdentifiers"))
    return [_detail(base_id, source_id, _identity(one)) for one in named]


def _list(base_id: str, source_id: str, _request: Json) -> list[dict[str, Any]]:
    prefix = f"{base_id}/{source_id}/"
    return [dict(record) for key, record in bedrock_agent._kb_documents.items() if key.startswith(prefix)]


def _delete(base_id: str, source_id: str, request: Json) -> list[dict[str, Any]]:
    details = _get(base_id, source_id, request)
    for detail in details:
        key = f"{base_id}/{source_id}/{_identity(detail['identifier'])}"
        bedrock_agent._kb_document_texts.pop(key, None)
        if bedrock_agent._kb_documents.pop(key, None):
            detail["status"] = "DELETING"
    return details


def _detail(base_id: str, source_id: str, identity: str) -> dict[str, Any]:
    missing = {
        "knowledgeBaseId": base_id,
        "dataSourceId": source_id,
        "identifier": {"dataSourceType": "CUSTOM", "custom": {"id": identity}},
        "status": "NOT_FOUND",
    }
    return dict(bedrock_agent._kb_documents.get(f"{base_id}/{source_id}/{identity}", missing))


# --- What a document may be


def _bounded(given: Any) -> Sequence[Json]:
    if not isinstance(given, list) or not 1 <= len(given) <= _AT_ONCE:
        raise invalid(f"A request names 1 to {_AT_ONCE} documents.")
    return given


def _require_custom(base_id: str, source_id: str) -> None:
    kind = (bedrock_agent._data_sources[f"{base_id}/{source_id}"].get("DataSourceConfiguration") or {}).get("type")
    if kind != "CUSTOM":
        raise invalid(f"The data source is of type {kind}; the local one takes documents directly if it is CUSTOM.")


def _id_of(document: Json) -> str:
    content = document.get("content") or {}
    if content.get("dataSourceType") != "CUSTOM" or not content.get("custom"):
        raise invalid("The local knowledge bases take documents of dataSourceType CUSTOM directly.")
    return _identity({"custom": content["custom"].get("customDocumentIdentifier")})


def _identity(named: Json) -> str:
    """The id in a document's identifier; an S3 document goes by its address, as the engine keeps it."""
    identity = (named.get("custom") or {}).get("id") or (named.get("s3") or {}).get("uri")
    if not identity:
        raise invalid("A document needs an id.")
    return str(identity)


def _content(document: Json) -> tuple[str, dict[str, Any]]:
    """The document's text and its attributes; raises ServiceError where it is no inline text with inline attributes."""
    custom = document["content"]["custom"]
    inline = custom.get("inlineContent") or {}
    text = (inline.get("textContent") or {}).get("data")
    if custom.get("sourceType") != "IN_LINE" or inline.get("type") != "TEXT" or not text:
        raise invalid("The local knowledge bases take inline text directly, and nothing else.")
    metadata = document.get("metadata") or {"type": "IN_LINE_ATTRIBUTE"}
    if metadata.get("type") != "IN_LINE_ATTRIBUTE" or metadata.get("accessControlList"):
        raise invalid("The local knowledge bases take inline attributes, and nothing else.")
    return str(text), {one["key"]: _value(one.get("value") or {}) for one in metadata.get("inlineAttributes") or []}


def _value(typed: Json) -> Any:
    member = _VALUES.get(str(typed.get("type")))
    if member is None or member not in typed:
        raise invalid(f"An attribute of type {typed.get('type')} needs {member or 'another type'}.")
    return typed[member]


def _too_long(attributes: Json) -> str | None:
    size = len(json.dumps(attributes, ensure_ascii=False).encode())
    if size <= _LONGEST_ATTRIBUTES_BYTES:
        return None
    return f"Filterable metadata must have at most {_LONGEST_ATTRIBUTES_BYTES} bytes, not {size}."


def _refusal(base_id: str) -> str | None:
    """Why the knowledge base's role cannot take documents in, or None where it can."""
    base = bedrock_agent._knowledge_bases[base_id]
    vectors = (base["KnowledgeBaseConfiguration"].get("vectorKnowledgeBaseConfiguration") or {}).get(
        "embeddingModelArn"
    )
    store = (base.get("StorageConfiguration") or {}).get("s3VectorsConfiguration") or {}
    needed = [("bedrock:InvokeModel", vectors), ("s3vectors:PutVectors", store.get("indexArn"))]
    arn = original(bedrock_agent, "_kb_arn")(base_id)
    for action, resource in needed:
        if resource and (refusal := refusal_of_role(base["RoleArn"], _PRINCIPAL, action, resource, arn)):
            return refusal
    return None
