"""The create_upload handler: a verified person in, a presigned POST out that S3 takes for that one file only."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.api_events import a_post, answer_of, claims_of
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

PDF = {"fileName": "contract.pdf", "contentType": "application/pdf", "bytes": 48_213}


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("create_upload")


def invoke(module: Any, event: dict[str, Any]) -> tuple[int, Any]:
    return answer_of(module.handler(event, Context()))


def conditions_of(fields: dict[str, str]) -> list[Any]:
    """What S3 demands of the form, from its policy."""
    policy: dict[str, Any] = json.loads(base64.b64decode(fields["policy"]))
    listed: list[Any] = policy["conditions"]
    return listed


def test_upload_is_bound_to_one_key_type_size_and_encryption_for_a_quarter_of_an_hour(module: Any) -> None:
    status, offered = invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF))
    assert (status, offered["expiresInSeconds"]) == (201, 900)
    fields = offered["upload"]["fields"]
    assert fields["key"] == f"incoming/CUST-000001/{offered['documentId']}/contract.pdf"
    conditions = conditions_of(fields)
    for demanded in (
        {"bucket": "documents"},
        {"key": fields["key"]},
        {"Content-Type": "application/pdf"},
        {"x-amz-server-side-encryption": "AES256"},
        ["content-length-range", 48_213, 48_213],
    ):
        assert demanded in conditions


def test_upload_goes_to_the_regions_own_host_under_signature_version_4(module: Any) -> None:
    _, offered = invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF))
    assert offered["upload"]["url"] == "https://documents.s3.eu-central-1.amazonaws.com/"
    assert offered["upload"]["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


def test_document_has_a_row_of_the_caller_that_expires(module: Any, resources: Resources) -> None:
    _, offered = invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF))
    (row,) = resources.rows("documents")
    expires, created = row.pop("expiresAt"), row.pop("createdAt")
    assert row.pop("updatedAt") == created
    assert int(expires["N"]) > 90 * 86_400
    assert row == {
        "documentId": {"S": offered["documentId"]},
        "customerId": {"S": "CUST-000001"},
        "fileName": {"S": "contract.pdf"},
        "key": {"S": offered["upload"]["fields"]["key"]},
        "status": {"S": "uploading"},
    }


@pytest.mark.parametrize(
    ("claims", "status"),
    [(None, 401), (claims_of("analyst"), 403), (claims_of("", "CUST-000001"), 403), (claims_of("customer"), 403)],
    ids=["nobody", "analyst", "no group", "no customer id"],
)
def test_who_is_no_customer_gets_no_upload(
    module: Any, resources: Resources, claims: dict[str, str] | None, status: int
) -> None:
    answered, body = invoke(module, a_post(claims, PDF))
    assert (answered, list(body)) == (status, ["message"])
    assert resources.rows("documents") == []


def test_body_that_names_another_customer_is_refused(module: Any, resources: Resources) -> None:
    assert invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF | {"customerId": "CUST-000002"}))[0] == 400
    assert resources.rows("documents") == []


def test_throttled_table_is_answered_503_and_nothing_is_offered(module: Any, resources: Resources) -> None:
    with failing("PutItem", "ThrottlingException"):
        status, body = invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF))
    assert (status, body) == (503, {"message": "This cannot be done just now. Try again in a moment."})
    assert resources.rows("documents") == []


def test_log_and_metrics_name_neither_the_file_nor_the_customer(
    module: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    capsys.readouterr()
    _, offered = invoke(module, a_post(claims_of("customer", "CUST-000001"), PDF))
    printed, logged = capsys.readouterr().out, " ".join(str(vars(record)) for record in caplog.records)
    assert offered["documentId"] in logged
    for kept_quiet in ("contract", "CUST-000001", offered["upload"]["fields"]["policy"]):
        assert kept_quiet not in printed + logged
    assert metrics_in(printed) == {"UploadRequests": 1, "UploadsOffered": 1}


def test_answer_is_kept_by_no_cache(module: Any) -> None:
    answer = module.handler(a_post(claims_of("customer", "CUST-000001"), PDF), Context())
    assert answer["headers"]["Cache-Control"] == "no-store"
    assert answer["headers"]["Content-Type"] == "application/json"


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("create_upload") == ["bad", "edge", "good"]


def test_the_good_sample_is_offered_an_upload(module: Any) -> None:
    assert invoke(module, sample("create_upload", "good"))[0] == 201


def test_the_bad_sample_is_told_the_largest_size(module: Any) -> None:
    status, body = invoke(module, sample("create_upload", "bad"))
    assert status == 400
    assert "20971520" in body["message"]


def test_the_edge_sample_keeps_its_name_for_people_and_a_plain_one_for_the_key(
    module: Any, resources: Resources
) -> None:
    status, offered = invoke(module, sample("create_upload", "edge"))
    assert status == 201
    assert offered["upload"]["fields"]["key"].endswith("/Ubersichtgnp.2026.docx")
    (row,) = resources.rows("documents")
    assert row["fileName"]["S"] == "..\\..\\Käufe & Verträge/Übersichtgnp.2026.docx"
