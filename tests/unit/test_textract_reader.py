"""Pages that are pictures, read by Textract: which are sent, as what, what comes back, and what a failure means."""

import io
import threading
import time
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, NoReturn

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import ANY, Stubber
from pypdf import PdfReader, PdfWriter

import textract_reader
from backbone.documents import DocumentBucket, SourceDocument
from backbone.errors import Rejected, Retryable
from document_extraction import extract
from extraction_limits import MAXIMUM_SCANNED_PAGES
from page_scans import PageScan
from tests import documents_builder as build
from tests.unit.lambda_events import Context, metrics_in, sample
from tests.unit.resources import ENVIRONMENT, Resources
from textract_reader import CALLS_AT_ONCE, LARGEST_SCAN_BYTES, TextractReader

TEXTRACT_SECONDS = 30.0


@pytest.fixture
def textract(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that asks one page after the other, so that its stubbed answers come to the pages that they are for."""
    monkeypatch.setattr(textract_reader, "CALLS_AT_ONCE", 1)
    return boto3.client("textract", region_name="eu-central-1")


def reader(textract: Any) -> TextractReader:
    return TextractReader(textract, time.monotonic() + TEXTRACT_SECONDS)


def blocks(*lines: str) -> dict[str, Any]:
    """What Textract answers for a page with these lines: the page, its lines, their words."""
    words = [word for line in lines for word in line.split()]
    return {
        "DocumentMetadata": {"Pages": 1},
        "Blocks": [
            {"BlockType": "PAGE", "Id": "page"},
            *({"BlockType": "LINE", "Id": line, "Text": line, "Confidence": 99.5} for line in lines),
            *({"BlockType": "WORD", "Id": word, "Text": word, "Confidence": 99.5} for word in words),
        ],
    }


def pictures_in(pdf: bytes) -> list[bytes]:
    """The picture on each page, as pypdf reads it."""
    return [picture.data for page in PdfReader(io.BytesIO(pdf)).pages for picture in page.images]


def mixed_pdf(scans: int) -> bytes:
    """Twelve pages of text and then as many scans."""
    writer = PdfWriter(clone_from=io.BytesIO(build.sample_document("terms-and-conditions.pdf")))
    for page in PdfReader(io.BytesIO(build.image_only_pdf(scans))).pages:
        writer.add_page(page)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


class Seen:
    """Stands for Textract where only the scans matter; finds nothing on any."""

    def __init__(self) -> None:
        self.scans: list[PageScan] = []

    def __call__(self, scans: Iterable[PageScan]) -> list[list[str]]:
        self.scans = list(scans)
        return [[] for _ in self.scans]


# ---- the pages that are sent


def test_each_scan_is_sent_as_a_pdf_of_its_own_page_with_its_picture() -> None:
    seen = Seen()
    scanned = build.image_only_pdf(3)
    with pytest.raises(Rejected, match="NO_TEXT"):
        extract(scanned, seconds=30, read_scans=seen)
    assert [scan.number for scan in seen.scans] == [1, 2, 3]
    assert [pictures_in(scan.pdf) for scan in seen.scans] == [[picture] for picture in pictures_in(scanned)]


def test_scan_in_a_pdf_that_only_its_owner_may_print_is_sent_unencrypted() -> None:
    writer = PdfWriter(clone_from=io.BytesIO(build.image_only_pdf(1)))
    writer.encrypt(user_password="", owner_password="the owner's", algorithm="AES-256")  # noqa: S106 - made up
    output = io.BytesIO()
    writer.write(output)
    seen = Seen()
    with pytest.raises(Rejected, match="NO_TEXT"):
        extract(output.getvalue(), seconds=30, read_scans=seen)
    (scan,) = seen.scans
    assert not PdfReader(io.BytesIO(scan.pdf)).is_encrypted
    assert pictures_in(scan.pdf) == pictures_in(build.image_only_pdf(1))


def test_only_the_pages_without_text_are_sent_and_their_text_stands_where_they_do(textract: Any) -> None:
    with Stubber(textract) as service:
        service.add_response("detect_document_text", blocks("Signed in Stennick."), {"Document": {"Bytes": ANY}})
        service.add_response("detect_document_text", blocks("By both parties."))
        document = extract(mixed_pdf(2), seconds=30, read_scans=reader(textract).read)
        service.assert_no_pending_responses()
    text = document.text
    assert (text.pages, text.pages_recognized, text.pages_without_text) == (14, 2, 0)
    assert [(one.page, one.text) for one in text.paragraphs[-2:]] == [
        (13, "Signed in Stennick."),
        (14, "By both parties."),
    ]


def test_pdf_with_text_on_every_page_is_never_sent(textract: Any) -> None:
    with Stubber(textract):  # any call would raise
        document = extract(
            build.sample_document("terms-and-conditions.pdf"), seconds=30, read_scans=reader(textract).read
        )
    assert document.text.pages_recognized == 0


def test_too_many_scans_are_refused_before_any_is_sent() -> None:
    seen = Seen()
    with pytest.raises(Rejected, match=rf"^TOO_MANY_PAGES: {MAXIMUM_SCANNED_PAGES + 1} pages of the PDF are pictures"):
        extract(build.image_only_pdf(MAXIMUM_SCANNED_PAGES + 1), seconds=30, read_scans=seen)
    assert seen.scans == []


# ---- what is found on them


def test_lines_are_taken_once_in_order_and_cleaned(textract: Any) -> None:
    with Stubber(textract) as service:
        service.add_response("detect_document_text", blocks("Invoice\u200b 1:", "EUR  1,200.00 are", "due today."))
        document = extract(build.image_only_pdf(1), seconds=30, read_scans=reader(textract).read)
    assert " ".join(one.text for one in document.text.paragraphs) == "Invoice 1: EUR 1,200.00 are due today."


def test_scans_on_which_nothing_is_found_are_refused_as_without_text(textract: Any) -> None:
    with Stubber(textract) as service:
        service.add_response("detect_document_text", blocks())
        service.add_response("detect_document_text", blocks())
        with pytest.raises(Rejected, match=r"^NO_TEXT: 2 of 2 pages hold no text"):
            extract(build.image_only_pdf(2), seconds=30, read_scans=reader(textract).read)


def test_as_many_scans_as_allowed_are_read_at_once_and_their_lines_stay_with_them() -> None:
    together = threading.Barrier(CALLS_AT_ONCE, timeout=10)

    class Echo:
        """Answers a page's own content once the others are being read too."""

        def detect_document_text(self, **asked: dict[str, bytes]) -> dict[str, Any]:
            together.wait()
            return blocks(asked["Document"]["Bytes"].decode())

    texts = [f"page {number}" for number in range(2 * CALLS_AT_ONCE)]
    scans = [PageScan(number, text.encode()) for number, text in enumerate(texts, start=1)]
    assert reader(Echo()).read(scans) == [[text] for text in texts]


# ---- failures


@pytest.mark.parametrize(
    ("code", "status", "raised", "said"),
    [
        ("ThrottlingException", 400, Retryable, "page 1"),
        ("ProvisionedThroughputExceededException", 400, Retryable, "page 1"),
        ("InternalServerError", 500, Retryable, "page 1"),
        ("ServiceUnavailable", 503, Retryable, "page 1"),
        ("AccessDeniedException", 400, Rejected, "^INTERNAL: .*extract_text may not ask it"),
        ("BadDocumentException", 400, Rejected, "^CORRUPT: The picture on page 1"),
        ("UnsupportedDocumentException", 400, Rejected, "^CORRUPT: The picture on page 1"),
        ("InvalidParameterException", 400, Rejected, "^INTERNAL: "),
    ],
)
def test_failure_is_retryable_where_the_same_page_may_be_read_later(
    textract: Any, code: str, status: int, raised: type[Exception], said: str
) -> None:
    with Stubber(textract) as service:
        service.add_client_error("detect_document_text", code, http_status_code=status)
        with pytest.raises(raised, match=said):
            extract(build.image_only_pdf(2), seconds=30, read_scans=reader(textract).read)


def test_call_without_an_answer_is_retryable() -> None:
    class Silent:
        def detect_document_text(self, **_: object) -> NoReturn:
            raise ReadTimeoutError(endpoint_url="https://textract.eu-central-1.amazonaws.com")

    with pytest.raises(Retryable, match="page 7"):
        reader(Silent()).read([PageScan(7, b"%PDF-")])


def test_scan_above_the_limit_is_refused_unsent_and_says_which(textract: Any) -> None:
    with Stubber(textract), pytest.raises(Rejected, match=r"^TOO_LARGE: The picture on page 3 has 5\.1 MB"):
        reader(textract).read([PageScan(3, bytes(LARGEST_SCAN_BYTES + 100_000))])


def test_no_page_is_sent_once_time_is_up(textract: Any) -> None:
    with Stubber(textract), pytest.raises(Retryable, match="time was up after 0 pages"):  # any call would raise another
        TextractReader(textract, time.monotonic() - 1).read([PageScan(1, b"%PDF-")])


# ---- the handler


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    place = ENVIRONMENT["DOCUMENTS_BUCKET_NAME"]
    resources.client("s3").put_bucket_versioning(Bucket=place, VersioningConfiguration={"Status": "Enabled"})
    return handler_module("extract_text")


def test_handler_reads_scans_where_it_is_told_to_and_counts_them(
    module: Any,
    resources: Resources,
    textract: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = sample("extract_text", "good")
    place = ENVIRONMENT["DOCUMENTS_BUCKET_NAME"]
    stored = resources.client("s3").put_object(Bucket=place, Key=event["key"], Body=build.image_only_pdf(2))
    monkeypatch.setattr(module, "textract", textract)
    capsys.readouterr()
    with Stubber(textract) as service:
        for lines in repeat(blocks("Invoice 1: EUR 1,200.00"), 2):
            service.add_response("detect_document_text", lines)
        answer = module.handler(event | {"versionId": stored["VersionId"]}, Context())
    source = DocumentBucket(resources.client("s3"), place).read(
        SourceDocument, f"work/{event['documentId']}/passages.json"
    )
    assert [(passage.page, passage.text) for passage in source.passages] == [
        (1, "Invoice 1: EUR 1,200.00"),
        (2, "Invoice 1: EUR 1,200.00"),
    ]
    assert answer["pages"] == 2
    assert metrics_in(capsys.readouterr().out)["PagesRecognized"] == 2


def test_handler_has_nothing_that_reads_scans_unless_it_is_told_to(module: Any) -> None:
    assert module.textract is None
    assert module.scan_reader(30) is None
