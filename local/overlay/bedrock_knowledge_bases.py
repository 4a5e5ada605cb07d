"""Knowledge bases: Retrieve by meaning, over the texts that an ingestion job read from the data source's bucket.

The engine ingests an S3 data source for real (text files; others are counted as failed), and answers Retrieve by
counting shared words over whole files. Here files are cut into passages of about 300 tokens, the default chunking, and
ranked by the local embedding model, as AWS ranks by the knowledge base's. The vector store of the template is a record:
vectors are kept in memory. https://docs.aws.amazon.com/bedrock/latest/userguide/kb-how-it-works.html

Passages are cut as asked by chunkingStrategy NONE or FIXED_SIZE; other strategies are refused. So are hybrid search and
reranking, which need parts that are not here.
"""

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.services import bedrock_agent, bedrock_agent_runtime

from local.overlay.engine_hooks import original
from local.overlay.service_routes import ServiceError

_DEFAULT_TOKENS = 300
_WORDS_PER_TOKEN = 0.75  # of English, by OpenAI's rule of thumb; a passage's length needs no more
_DEFAULT_RESULTS = 5
_VECTORS_KEPT = 10_000

type Json = Mapping[str, Any]
type Embed = Callable[[str], list[float]]


def remembering(embed: Embed) -> Embed:
    """``embed`` that embeds each text once."""
    return functools.lru_cache(_VECTORS_KEPT)(embed)


def retrieve(embed: Embed, knowledge_base_id: str, request: Json) -> list[dict[str, Any]]:
    """The passages nearest to the request's ``retrievalQuery``, best first, as Retrieve's results.

    Raises ServiceError where there is no such knowledge base, or where the request asks for what is not served.
    """
    if knowledge_base_id not in bedrock_agent._knowledge_bases:
        raise ServiceError("ResourceNotFoundException", 404, f"Knowledge base {knowledge_base_id} does not exist.")
    query = str((request.get("retrievalQuery") or {}).get("text") or "").strip()
    search = (request.get("retrievalConfiguration") or {}).get("vectorSearchConfiguration") or {}
    refused = [name for name in ("rerankingConfiguration", "implicitFilterConfiguration") if search.get(name)]
    if search.get("overrideSearchType") == "HYBRID":
        refused.append("overrideSearchType HYBRID")
    if refused or request.get("nextToken") or not query:
        reason = f"The local knowledge bases do not serve {', '.join(refused)}." if refused else "A query is required."
        raise ServiceError("ValidationException", 400, reason)
    asked = embed(query)
    found = [
        (sum(left * right for left, right in zip(asked, embed(passage), strict=True)), passage, document)
        for document in _documents(knowledge_base_id, search.get("filter"))
        for passage in _passages(document["Text"], *document["chunking"])
    ]
    found.sort(key=lambda scored: scored[0], reverse=True)
    return [_result(*scored) for scored in found[: int(search.get("numberOfResults") or _DEFAULT_RESULTS)]]


def _documents(knowledge_base_id: str, wanted: Any) -> Iterator[dict[str, Any]]:
    matches = original(bedrock_agent_runtime, "_filter_matches")
    for key, document in bedrock_agent._kb_document_texts.items():
        owner, source_id, _ = key.split("/", 2)
        if owner == knowledge_base_id and matches(wanted, document.get("Metadata") or {}):
            yield {**document, "chunking": _chunking(bedrock_agent._data_sources.get(f"{owner}/{source_id}") or {})}


def _chunking(data_source: Json) -> tuple[int, int]:
    """Words of a passage, and words that it shares with the one before; 0 words means the whole text."""
    settings = (data_source.get("VectorIngestionConfiguration") or {}).get("chunkingConfiguration") or {}
    strategy = settings.get("chunkingStrategy", "FIXED_SIZE")
    if strategy == "NONE":
        return 0, 0
    if strategy != "FIXED_SIZE":
        raise ServiceError("ValidationException", 400, f"The local knowledge bases do not chunk by {strategy}.")
    fixed = settings.get("fixedSizeChunkingConfiguration") or {}
    words = max(1, int(int(fixed.get("maxTokens", _DEFAULT_TOKENS)) * _WORDS_PER_TOKEN))
    return words, words * int(fixed.get("overlapPercentage", 0)) // 100


def _passages(text: str, words: int, shared: int) -> Iterator[str]:
    """``text`` cut after ``words`` words, its own spacing kept."""
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    starts = [found.start() for found in re.finditer(r"\S+", text)]
    if not words:
        yield text
        return
    for first in range(0, len(starts), max(1, words - shared)):
        yield text[starts[first] : ends[min(first + words, len(ends)) - 1]]
        if first + words >= len(starts):
            return


def _result(score: float, passage: str, document: Json) -> dict[str, Any]:
    result: dict[str, Any] = {
        "content": {"text": passage, "type": "TEXT"},
        "location": document.get("Location") or {"type": "S3", "s3Location": {"uri": document["Uri"]}},
        "score": round(score, 6),
    }
    if document.get("Metadata"):
        result["metadata"] = json.loads(json.dumps(document["Metadata"]))
    return result
