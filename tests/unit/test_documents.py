"""The objects that the steps of the document flow leave for one another."""

from dataclasses import dataclass

import pytest

from backbone import documents
from backbone.documents import ChunkSummary, Grounding, SourceDocument, chunk_summary_key, grounding_key
from backbone.errors import Rejected, Retryable
from backbone.json_objects import request
from tests.unit.aws_faults import failing
from tests.unit.document_builder import DOCUMENT, a_chunk_summary, a_document, a_grounding, cited, judged, workplace
from tests.unit.resources import Resources

KEY = documents.passages_key(DOCUMENT)


def put(resources: Resources, body: bytes) -> None:
    resources.client("s3").put_object(Bucket="documents", Key=KEY, Body=body)


def test_keys_are_those_of_the_contract() -> None:
    assert KEY == "work/DOC-SAMPLE-1/passages.json"
    assert documents.chunk_key(DOCUMENT, 7) == "work/DOC-SAMPLE-1/chunks/0007.json"
    assert chunk_summary_key(DOCUMENT, 12) == "work/DOC-SAMPLE-1/chunk_summaries/0012.json"
    assert documents.draft_key(DOCUMENT, 2) == "work/DOC-SAMPLE-1/draft-2.json"
    assert grounding_key(DOCUMENT, 1) == "work/DOC-SAMPLE-1/grounding-1.json"
    assert documents.summary_key(DOCUMENT) == "summaries/DOC-SAMPLE-1.json"
    assert documents.index_key(DOCUMENT) == "index/DOC-SAMPLE-1.json"


def test_what_one_step_writes_the_next_one_reads(resources: Resources) -> None:
    bucket = workplace(resources.client).bucket
    document, summary = a_document("Größe: 5 €."), a_chunk_summary(1, cited("One.", "p1", "p2"))
    grounding = a_grounding(judged("One.", "p1"), judged("Two.", "p2", supported=False))
    bucket.write(KEY, document)
    bucket.write("summary", summary)
    bucket.write("grounding", grounding)
    assert bucket.read(SourceDocument, KEY) == document
    assert bucket.read(ChunkSummary, "summary") == summary
    assert bucket.read(Grounding, "grounding") == grounding


def test_an_object_that_is_not_there_is_rejected(resources: Resources) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: get_object work/DOC-SAMPLE-1/passages.json.*NoSuchKey"):
        workplace(resources.client).bucket.read(SourceDocument, KEY)


@pytest.mark.parametrize("body", [b"not JSON", b"\xff\xfe", b"[]", b'{"documentId": 1}'])
def test_an_object_of_another_shape_is_rejected(resources: Resources, body: bytes) -> None:
    put(resources, body)
    with pytest.raises(Rejected, match=r"INTERNAL: work/DOC-SAMPLE-1/passages.json is not what it should be"):
        workplace(resources.client).bucket.read(SourceDocument, KEY)


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
def test_a_busy_bucket_is_retryable(resources: Resources, code: str) -> None:
    bucket = workplace(resources.client).bucket
    with failing("PutObject", code), pytest.raises(Retryable, match=rf"put_object {KEY}.*{code}"):
        bucket.write(KEY, a_document())
    bucket.write(KEY, a_document())
    with failing("GetObject", code), pytest.raises(Retryable, match=rf"get_object {KEY}.*{code}"):
        bucket.read(SourceDocument, KEY)


def test_a_missing_grant_is_rejected(resources: Resources) -> None:
    with failing("PutObject", "AccessDenied"), pytest.raises(Rejected, match="INTERNAL: put_object"):
        workplace(resources.client).bucket.write(KEY, a_document())


def test_too_large_an_object_is_neither_read_nor_written(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = workplace(resources.client).bucket
    bucket.write(KEY, a_document())
    monkeypatch.setattr(documents, "MAXIMUM_OBJECT_BYTES", 100)
    with pytest.raises(Rejected, match="TOO_LARGE"):
        bucket.read(SourceDocument, KEY)
    with pytest.raises(Rejected, match="TOO_LARGE"):
        bucket.write(KEY, a_document())


@dataclass(frozen=True, slots=True)
class Asked:
    document_id: str
    attempt: int


def test_a_payload_of_another_shape_is_rejected() -> None:
    assert request(Asked, {"documentId": DOCUMENT, "attempt": 1}) == Asked(DOCUMENT, 1)
    with pytest.raises(Rejected, match=r"INTERNAL: .*attempt is no int but str"):
        request(Asked, {"documentId": DOCUMENT, "attempt": "1"})
