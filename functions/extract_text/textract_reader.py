"""Reads scanned pages by Amazon Textract, one call a page.

Protocol: DetectDocumentText with a PDF of one page in the request. That ``Bytes`` takes a PDF is said by the operation,
the quotas and AWS's answer to https://github.com/aws/aws-sdk/issues/349; its own description still names pictures only.
https://docs.aws.amazon.com/textract/latest/dg/API_DetectDocumentText.html
https://docs.aws.amazon.com/textract/latest/dg/limits-document.html
"""

import itertools
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Rejected, Retryable
from page_scans import PageScan
from upload_refusals import refused

# A page takes a second or two.
CALL_SECONDS = 10
# The account's quota of calls a second is small in most regions (Service Quotas, Amazon Textract): four at once, of a
# second each, leave room for another document.
CALLS_AT_ONCE = 4
# The stricter of the two limits that are documented (5 MB as bytes, 10 MB in memory).
LARGEST_SCAN_BYTES = 5_000_000

_RETRYABLE_CODES = {"InternalServerError", "ProvisionedThroughputExceededException", "ThrottlingException"}
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class TextractReader:
    """Reads until ``deadline`` (of time.monotonic, seconds) by ``client`` (boto3 "textract")."""

    client: Any
    deadline: float

    def read(self, scans: Iterable[PageScan]) -> list[list[str]]:
        """The lines on each scan, in order.

        Raises Retryable where Textract is throttled, away or too slow; Rejected where a scan is too large (TOO_LARGE)
        or damaged (CORRUPT), or where this function may not ask Textract (INTERNAL).
        """
        found: list[list[str]] = []
        with ThreadPoolExecutor(CALLS_AT_ONCE) as calls:
            for some in itertools.batched(scans, CALLS_AT_ONCE, strict=False):
                if time.monotonic() > self.deadline:
                    raise Retryable(f"detect_document_text: time was up after {len(found)} pages")
                found.extend(calls.map(self._lines, some))
        return found

    def _lines(self, scan: PageScan) -> list[str]:
        if len(scan.pdf) > LARGEST_SCAN_BYTES:
            raise refused(
                "TOO_LARGE",
                f"The picture on page {scan.number} has {len(scan.pdf) / 1_000_000:.1f} MB, and we read "
                f"{LARGEST_SCAN_BYTES // 1_000_000}. Please scan it with fewer dots per inch and send it again.",
            )
        try:
            answer = self.client.detect_document_text(Document={"Bytes": scan.pdf})
        except (ClientError, BotoCoreError) as failed:
            raise _judged(failed, scan.number) from failed
        return [block["Text"] for block in answer["Blocks"] if block["BlockType"] == "LINE"]


def _judged(failed: ClientError | BotoCoreError, page: int) -> Retryable | Rejected:
    said = f"detect_document_text, page {page}: {failed}"
    if not isinstance(failed, ClientError):
        return Retryable(said)
    code = failed.response.get("Error", {}).get("Code", "")
    status = failed.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _RETRYABLE_CODES or status >= _FIRST_SERVER_ERROR:
        return Retryable(said)
    if code in ("BadDocumentException", "UnsupportedDocumentException"):
        return refused("CORRUPT", f"The picture on page {page} cannot be read. Please scan it again.")
    if code == "AccessDeniedException":
        return refused("INTERNAL", "Scanned pages are to be read by Textract, but extract_text may not ask it.")
    return refused("INTERNAL", said)
