"""POST and GET /documents: people sign in, upload what they were offered, and see their own documents only."""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request

import pytest
from botocore.exceptions import ClientError

from backbone.contracts import timestamp
from local.api_client import ask, fetched, post_form
from local.people import Person, create_person, sign_in, user_pool
from local.process import EngineProcess
from tests.stack.deployed import Stack, now

PDF = b"%PDF-1.7\n%made up\n"
REQUEST = {"fileName": "contract.pdf", "contentType": "application/pdf", "bytes": len(PDF)}


@dataclass(frozen=True)
class Somebody:
    """A person who signed in. ``password`` is theirs."""

    name: str
    password: str
    token: str
    customer_id: str


@dataclass(frozen=True)
class DocumentsApi:
    """The path-shaped local address of the API; on AWS it is the output DocumentsUrl."""

    url: str

    def ask(self, method: str, path: str, token: str | None, body: object = None) -> tuple[int, Any]:
        """Status and JSON body; ``path`` is what follows /documents."""
        return ask(method, self.url + path, token, body)

    def offered(self, somebody: Somebody, **changes: Any) -> dict[str, Any]:
        """The upload that ``somebody`` is offered for the PDF."""
        status, answer = self.ask("POST", "", somebody.token, REQUEST | changes)
        assert status == 201, answer
        offered: dict[str, Any] = answer
        return offered


def upload(offered: Mapping[str, Any], content: bytes, **changes: str) -> tuple[int, Any]:
    """POSTs ``content`` as the offer says, with some form fields changed (``__`` in a keyword stands for a dash)."""
    fields = offered["upload"]["fields"] | {name.replace("__", "-"): value for name, value in changes.items()}
    return post_form(offered["upload"]["url"], fields, content)


@pytest.fixture(scope="module")
def api(stack: Stack, engine: EngineProcess) -> DocumentsApi:
    return DocumentsApi(f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/documents")


def somebody(stack: Stack, group: str, customer_id: str = "") -> Somebody:
    """A new person, as `make user` makes one, signed in."""
    cognito, pool = stack.client("cognito-idp"), user_pool(stack.outputs)
    name = f"{group}-{uuid.uuid4().hex[:8]}"
    password = create_person(cognito, pool, Person(name, group, customer_id))
    return Somebody(name, password, sign_in(cognito, pool, name, password), customer_id)


@pytest.fixture(scope="module")
def alice(stack: Stack) -> Somebody:
    return somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def bob(stack: Stack) -> Somebody:
    return somebody(stack, "customer", f"CUST-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def analyst(stack: Stack) -> Somebody:
    return somebody(stack, "analyst")


@pytest.fixture
def summarized(stack: Stack, alice: Somebody) -> Iterator[str]:
    """The id of a document of alice's as the document flow leaves it behind."""
    document_id, s3, bucket = str(uuid.uuid4()), stack.client("s3"), stack.resource("DocumentsBucket")
    objects: dict[str, Any] = {
        f"summaries/{document_id}.json": {
            "title": None,
            "pages": 1,
            "sentences": [{"text": "EUR 12,000 are lent.", "passages": ["p1"], "pages": [1], "supported": True}],
            "supportRate": 1.0,
            "model": {"modelId": "m", "profile": None, "inputTokens": 1, "outputTokens": 1},
        },
        f"index/{document_id}.json": {
            "documentId": document_id,
            "customerId": alice.customer_id,
            "fileName": "loan.txt",
            "dimensions": 1,
            "model": "m",
            "vectors": "AACAPw==",
            "passages": [{"id": "p1", "page": 1, "text": "The loan is EUR 12,000."}],
        },
    }
    for key, content in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode())
    row = {
        "documentId": document_id,
        "customerId": alice.customer_id,
        "fileName": "loan.txt",
        "status": "summarized",
        "createdAt": timestamp(now()),
        "updatedAt": timestamp(now()),
    }
    table, dynamodb = stack.resource("DocumentsTable"), stack.client("dynamodb")
    dynamodb.put_item(TableName=table, Item={name: {"S": value} for name, value in row.items()})
    yield document_id
    dynamodb.delete_item(TableName=table, Key={"documentId": {"S": document_id}})


# ---- an upload


def test_offered_upload_takes_the_file_encrypted_under_the_callers_own_key(
    stack: Stack, api: DocumentsApi, alice: Somebody
) -> None:
    offered = api.offered(alice)
    assert upload(offered, PDF)[0] == 201
    key = f"incoming/{alice.customer_id}/{offered['documentId']}/contract.pdf"
    kept = stack.client("s3").get_object(Bucket=stack.resource("DocumentsBucket"), Key=key)
    assert kept["Body"].read() == PDF
    assert (kept["ContentType"], kept["ServerSideEncryption"]) == ("application/pdf", "AES256")


@pytest.mark.parametrize("size", [0, len(PDF) - 1, len(PDF) + 1, 1_000_000])
def test_offered_upload_takes_no_other_size(api: DocumentsApi, alice: Somebody, size: int) -> None:
    assert upload(api.offered(alice), b"x" * size)[0] == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "incoming/CUST-000002/d/contract.pdf"},
        {"key": "summaries/d.json"},
        {"Content__Type": "text/html"},
        {"x__amz__server__side__encryption": "aws:kms"},
        {"acl": "public-read"},
    ],
    ids=["another customer's key", "a summary's key", "another type", "another encryption", "public"],
)
def test_offered_upload_takes_no_other_key_type_or_encryption(
    api: DocumentsApi, alice: Somebody, changes: dict[str, str]
) -> None:
    assert upload(api.offered(alice), PDF, **changes)[0] == 403


def test_nobody_puts_into_the_bucket_without_an_offer(api: DocumentsApi, alice: Somebody) -> None:
    url = api.offered(alice)["upload"]["url"]
    bare = {"upload": {"url": url, "fields": {"key": f"incoming/{alice.customer_id}/d/contract.pdf"}}}
    assert upload(bare, PDF)[0] == 403
    assert fetched(Request(f"{url}/incoming/x", PDF, method="PUT"))[0] == 403  # noqa: S310 - the engine


def test_new_upload_is_shown_to_its_owner_at_once(api: DocumentsApi, alice: Somebody) -> None:
    document_id = api.offered(alice, fileName="Käufe 2026.pdf")["documentId"]
    status, document = api.ask("GET", f"/{document_id}", alice.token)
    assert status == 200
    assert (document["documentId"], document["fileName"]) == (document_id, "Käufe 2026.pdf")
    assert document["status"] in ("uploading", "processing")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bytes": 20 * 1024 * 1024 + 1}, "bytes"),
        ({"bytes": 0}, "bytes"),
        ({"contentType": "application/zip"}, "contentType"),
        ({"fileName": "x" * 256}, "fileName"),
        ({"customerId": "CUST-000002"}, "customerId"),
    ],
)
def test_request_that_is_out_of_bounds_is_refused_by_the_api_with_the_field_named(
    api: DocumentsApi, alice: Somebody, changes: dict[str, Any], named: str
) -> None:
    status, answer = api.ask("POST", "", alice.token, REQUEST | changes)
    assert status == 400
    assert named in answer["problem"]


def test_body_that_is_called_something_else_is_still_checked(api: DocumentsApi, alice: Somebody) -> None:
    headers = {"Content-Type": "text/plain", "Authorization": alice.token}
    body = json.dumps(REQUEST | {"bytes": 20 * 1024 * 1024 + 1}).encode()
    status, answer = fetched(Request(api.url, body, headers, method="POST"))  # noqa: S310 - the engine
    assert status == 400
    assert "bytes" in json.dumps(answer)


def test_analyst_uploads_nothing(api: DocumentsApi, analyst: Somebody) -> None:
    assert api.ask("POST", "", analyst.token, REQUEST)[0] == 403


# ---- who sees what


def test_owner_and_analyst_see_the_summary_with_its_passages(
    api: DocumentsApi, alice: Somebody, analyst: Somebody, summarized: str
) -> None:
    for token in (alice.token, analyst.token):
        status, document = api.ask("GET", f"/{summarized}", token)
        assert status == 200
        assert document["summary"]["sentences"] == [
            {
                "text": "EUR 12,000 are lent.",
                "supported": True,
                "passages": [{"id": "p1", "page": 1, "text": "The loan is EUR 12,000."}],
            }
        ]


def test_another_customers_document_looks_like_one_that_is_not_there(
    api: DocumentsApi, bob: Somebody, summarized: str
) -> None:
    others = api.ask("GET", f"/{summarized}", bob.token)
    assert others[0] == 404
    assert others == api.ask("GET", f"/{uuid.uuid4()}", bob.token)


def test_list_shows_the_callers_own_and_to_an_analyst_the_named_customers(
    api: DocumentsApi, alice: Somebody, bob: Somebody, analyst: Somebody, summarized: str
) -> None:
    _, own = api.ask("GET", "", alice.token)
    assert summarized in [document["documentId"] for document in own["documents"]]
    assert {document["customerId"] for document in own["documents"]} == {alice.customer_id}
    assert api.ask("GET", f"?customerId={alice.customer_id}", analyst.token) == (200, own)
    assert api.ask("GET", f"?customerId={alice.customer_id}", bob.token)[0] == 403


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", ""), ("GET", "/some-id")])
def test_nobody_without_a_good_token_gets_anywhere(api: DocumentsApi, alice: Somebody, method: str, path: str) -> None:
    head, body, signature = alice.token.split(".")
    for token in (None, "x", f"{head}.{body}.{signature[::-1]}"):
        assert api.ask(method, path, token, REQUEST if method == "POST" else None) == (
            401,
            {"message": "Unauthorized"},
        )


def test_access_token_is_not_enough(stack: Stack, api: DocumentsApi, alice: Somebody) -> None:
    assert api.ask("GET", "", access_token(stack, alice)) == (401, {"message": "Unauthorized"})


# ---- the user pool


def access_token(stack: Stack, person: Somebody) -> str:
    answer = stack.client("cognito-idp").initiate_auth(
        ClientId=stack.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": person.name, "PASSWORD": person.password},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


def test_customer_cannot_become_another_customer(
    stack: Stack, api: DocumentsApi, bob: Somebody, alice: Somebody
) -> None:
    cognito = stack.client("cognito-idp")
    claim = [{"Name": "custom:customerId", "Value": alice.customer_id}]
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        cognito.update_user_attributes(AccessToken=access_token(stack, bob), UserAttributes=claim)
    fresh = sign_in(cognito, user_pool(stack.outputs), bob.name, bob.password)
    assert api.ask("GET", f"?customerId={alice.customer_id}", fresh)[0] == 403


def test_nobody_signs_up_by_themselves(stack: Stack) -> None:
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        stack.client("cognito-idp").sign_up(
            ClientId=stack.outputs["UserPoolClientId"], Username=f"self-{uuid.uuid4().hex[:8]}", Password="Aa1!" * 5
        )


def test_wrong_password_and_unknown_name_are_refused_alike(stack: Stack, alice: Somebody) -> None:
    said = []
    for name in (alice.name, f"nobody-{uuid.uuid4().hex[:8]}"):
        with pytest.raises(ClientError) as refused:
            sign_in(stack.client("cognito-idp"), user_pool(stack.outputs), name, "Wrong-Password-1!")
        said.append((refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]))
    assert said[0] == said[1]
    assert said[0][0] == "NotAuthorizedException"
