"""What may be uploaded, by whom, and under which name."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.identity import Caller
from backbone.rest import RefusedError
from uploads import MAXIMUM_BYTES, Upload, UploadRequest, display_name, key_name, offer_upload, parse_request

PDF = {"fileName": "contract.pdf", "contentType": "application/pdf", "bytes": 48_213}
CUSTOMER = Caller("CUST-000001", is_analyst=False)


class SignedPosts:
    """Signs with the key itself, so that a test sees what was signed."""

    def sign(self, upload: Upload, expires_in_seconds: int) -> tuple[str, dict[str, str]]:
        return "https://storage", {"key": upload.key, "expires": str(expires_in_seconds)}


class ListedRows:
    """Keeps what was added."""

    def __init__(self) -> None:
        self.added: list[Upload] = []

    def add(self, upload: Upload) -> None:
        self.added.append(upload)


def test_a_customer_is_offered_one_key_below_their_own_folder_and_it_is_remembered() -> None:
    rows = ListedRows()
    request = UploadRequest("contract.pdf", "application/pdf", 10)
    offer = offer_upload(CUSTOMER, request, posts=SignedPosts(), rows=rows, document_id="D-1", now=5.0)
    key = "incoming/CUST-000001/D-1/contract.pdf"
    assert (offer.document_id, offer.fields) == ("D-1", {"key": key, "expires": "900"})
    assert rows.added == [Upload("D-1", "CUST-000001", request, key, 5.0)]


@pytest.mark.parametrize("caller", [Caller(None, is_analyst=True), Caller(None, is_analyst=False)])
def test_who_is_no_customer_is_offered_nothing(caller: Caller) -> None:
    rows = ListedRows()
    with pytest.raises(RefusedError) as refused:
        offer_upload(caller, parse_request(json.dumps(PDF)), posts=SignedPosts(), rows=rows, document_id="D", now=0)
    assert refused.value.status == 403
    assert rows.added == []


def test_request_is_read_as_it_is_written() -> None:
    assert parse_request(json.dumps(PDF)) == UploadRequest("contract.pdf", "application/pdf", 48_213)


@pytest.mark.parametrize("size", [1, MAXIMUM_BYTES])
def test_smallest_and_largest_file_are_taken(size: int) -> None:
    assert parse_request(json.dumps(PDF | {"bytes": size})).size == size


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (None, "not JSON"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "exactly"),
        ("null", "exactly"),
        (json.dumps({"fileName": "a"}), "exactly"),
        (json.dumps(PDF | {"customerId": "CUST-000002"}), "exactly"),
        (json.dumps(PDF | {"fileName": ""}), "fileName"),
        (json.dumps(PDF | {"fileName": "x" * 256}), "fileName"),
        (json.dumps(PDF | {"fileName": 7}), "fileName"),
        (json.dumps(PDF | {"contentType": "application/zip"}), "contentType"),
        (json.dumps(PDF | {"contentType": "application/pdf; charset=x"}), "contentType"),
        (json.dumps(PDF | {"contentType": ["application/pdf"]}), "contentType"),
        (json.dumps(PDF | {"bytes": 0}), "bytes"),
        (json.dumps(PDF | {"bytes": MAXIMUM_BYTES + 1}), "bytes"),
        (json.dumps(PDF | {"bytes": 1.5}), "bytes"),
        (json.dumps(PDF | {"bytes": True}), "bytes"),
        (json.dumps(PDF | {"bytes": "10"}), "bytes"),
    ],
)
def test_request_that_cannot_be_is_refused_with_what_is_wrong(body: str | None, named: str) -> None:
    with pytest.raises(RefusedError, match=named) as refused:
        parse_request(body)
    assert refused.value.status == 400


# ---- names


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("contract.pdf", "contract.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\Käufe 2026.docx", "Kaufe-2026.docx"),
        ("...", "document"),
        (".pdf", "pdf"),
        ("合同.pdf", "pdf"),
        ("a" * 300 + ".html", "a" * 95 + ".html"),
        ("a\u202egnp.txt", "agnp.txt"),
        ("x.notanextension", "x.notanextension"),
        ("/", "document"),
    ],
)
def test_name_becomes_a_keys_last_part(name: str, key: str) -> None:
    assert key_name(name) == key


@given(st.text(max_size=255))
def test_no_name_leaves_its_folder_or_the_alphabet_of_keys(name: str) -> None:
    assert re.fullmatch("[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", key_name(name))


@pytest.mark.parametrize(
    ("name", "shown"), [("Käufe 2026.pdf", "Käufe 2026.pdf"), ("a\u202eb\r\nc\x00.pdf", "abc.pdf"), ("\n", "document")]
)
def test_name_is_shown_without_what_could_mislead(name: str, shown: str) -> None:
    assert display_name(name) == shown
