"""The extract_text handler: one version of an upload in; passages, chunks and an answer of sizes and keys out."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from backbone.documents import Chunk, DocumentBucket, SourceDocument
from backbone.errors import Rejected, Retryable
from extraction_limits import MAXIMUM_UPLOAD_BYTES
from tests import documents_builder as build
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import ENVIRONMENT, Resources

BUCKET = ENVIRONMENT["DOCUMENTS_BUCKET_NAME"]


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    resources.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return handler_module("extract_text")


def uploaded(resources: Resources, data: bytes, name: str = "good") -> dict[str, Any]:
    """The sample event ``name`` for ``data``, which is in the bucket."""
    event = sample("extract_text", name)
    answer = resources.client("s3").put_object(Bucket=BUCKET, Key=event["key"], Body=data)
    return event | {"versionId": answer["VersionId"]}


def written(resources: Resources) -> list[str]:
    """The keys below work/."""
    found = resources.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="work/")
    return [item["Key"] for item in found.get("Contents", [])]


def read[T](resources: Resources, kind: type[T], key: str) -> T:
    return DocumentBucket(resources.client("s3"), BUCKET).read(kind, key)


def refusal(module: Any, event: dict[str, Any]) -> str:
    with pytest.raises(Rejected) as refused:
        module.handler(event, Context())
    return refused.value.reason


def test_every_sample_event_has_a_test() -> None:
    assert samples("extract_text") == ["bad", "edge", "good"]


def test_the_good_sample_becomes_passages_and_chunks_that_hold_them_all_in_order(
    module: Any, resources: Resources
) -> None:
    event = uploaded(resources, build.sample_document("terms-and-conditions.pdf"))
    answer = module.handler(event, Context())
    folder = f"work/{event['documentId']}"
    source = read(resources, SourceDocument, f"{folder}/passages.json")
    assert answer == {
        "documentId": event["documentId"],
        "pages": 12,
        "passages": len(source.passages),
        "characters": sum(len(passage.text) for passage in source.passages),
        "mediaType": "application/pdf",
        "chunks": [f"{folder}/chunks/0001.json", f"{folder}/chunks/0002.json"],
    }
    assert (source.file_name, source.media_type, source.pages) == ("terms-and-conditions.pdf", "application/pdf", 12)
    assert source.title == "Current Account and Debit Card: Terms and Conditions"
    assert {passage.page for passage in source.passages} == set(range(1, 13))
    chunks = [read(resources, Chunk, key) for key in answer["chunks"]]
    assert [chunk.chunk for chunk in chunks] == [1, 2]
    assert tuple(itertools.chain.from_iterable(chunk.passages for chunk in chunks)) == source.passages
    assert sorted(written(resources)) == sorted([*answer["chunks"], f"{folder}/passages.json"])


def test_the_edge_sample_is_read_by_its_content_whatever_its_name(module: Any, resources: Resources) -> None:
    event = uploaded(resources, build.latin_1_text(), "edge")
    answer = module.handler(event, Context())
    assert (answer["mediaType"], answer["pages"], answer["passages"]) == ("text/plain", None, 1)
    source = read(resources, SourceDocument, "work/d/passages.json")
    assert source.file_name == "Kündigung (1) – Müller & Söhne.pdf.txt"  # noqa: RUF001 - as people name files
    assert source.passages[0].text == build.GERMAN


def test_the_bad_sample_is_refused_before_anything_is_read_or_written(module: Any, resources: Resources) -> None:
    assert refusal(module, sample("extract_text", "bad")).startswith("INTERNAL: documentId is no id")
    assert written(resources) == []


@pytest.mark.parametrize("field", ["documentId", "key", "versionId"])
def test_event_without_what_it_needs_is_refused(module: Any, field: str) -> None:
    event = sample("extract_text", "good")
    del event[field]
    assert refusal(module, event).startswith("INTERNAL: ")


def test_key_outside_of_incoming_is_refused(module: Any) -> None:
    event = sample("extract_text", "good") | {"key": "summaries/another.json"}
    assert refusal(module, event).startswith("INTERNAL: not one version of an upload")


def test_version_that_was_uploaded_is_read_although_a_newer_one_is_there(module: Any, resources: Resources) -> None:
    event = uploaded(resources, b"The first version.")
    uploaded(resources, b"The second version, which is longer.")
    assert module.handler(event, Context())["characters"] == len("The first version.")


def test_second_run_writes_the_same_objects(module: Any, resources: Resources) -> None:
    event = uploaded(resources, build.sample_document("dispute-policy.docx"))
    objects = []
    for _ in range(2):
        module.handler(event, Context())
        objects.append(
            [resources.client("s3").get_object(Bucket=BUCKET, Key=key)["ETag"] for key in written(resources)]
        )
    assert objects[0] == objects[1]


def test_picture_named_pdf_is_refused_and_nothing_is_written(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert refusal(module, uploaded(resources, build.png())).startswith("UNSUPPORTED_TYPE: This is a PNG picture.")
    assert written(resources) == []
    assert metrics_in(capsys.readouterr().out) == {"DocumentsReceived": 1, "DocumentsRefused": 1}


def test_upload_above_the_size_limit_is_refused_without_being_read(module: Any, resources: Resources) -> None:
    event = uploaded(resources, b" " * (MAXIMUM_UPLOAD_BYTES + 1))
    with pytest.raises(AssertionError, match="GetObject was called 0 times"), failing("GetObject", "SlowDown"):
        assert refusal(module, event).startswith("TOO_LARGE: The file has 20.0 MB, and we read 20.")


def test_upload_that_was_deleted_is_refused(module: Any, resources: Resources) -> None:
    event = uploaded(resources, b"Some text.")
    resources.client("s3").delete_object(Bucket=BUCKET, Key=event["key"], VersionId=event["versionId"])
    assert refusal(module, event).startswith("GONE: ")


@pytest.mark.parametrize(
    ("operation", "code", "after"),
    [
        ("HeadObject", "503", 0),
        ("GetObject", "SlowDown", 0),
        ("PutObject", "SlowDown", 0),
        ("PutObject", "InternalError", 1),
    ],
)
def test_throttled_bucket_is_tried_again_and_then_gives_the_whole_answer(
    module: Any, resources: Resources, operation: str, code: str, after: int
) -> None:
    event = uploaded(resources, build.sample_document("annual-report.html"))
    with failing(operation, code, after=after), pytest.raises(Retryable):
        module.handler(event, Context())
    answer = module.handler(event, Context())
    assert sorted(written(resources)) == sorted([*answer["chunks"], f"work/{event['documentId']}/passages.json"])


def test_what_was_extracted_is_measured(module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    answer = module.handler(uploaded(resources, build.sample_document("technical-report.txt")), Context())
    assert metrics_in(capsys.readouterr().out) == {
        "DocumentsReceived": 1,
        "DocumentsExtracted": 1,
        "CharactersExtracted": answer["characters"],
        "PagesWithoutText": 0,
    }
