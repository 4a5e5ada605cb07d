"""Documents put directly into a knowledge base on S3 Vectors, through unmodified boto3: kept whole, found by filter."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.core import router
from ministack.services import bedrock_agent
from ministack.services.cloudformation import provisioners

from tests.engine.agents import a_role_resource
from tests.engine.callers import a_user
from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template
from tests.engine.waiting import wait_until

EMBEDDING_MODEL = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.titan-embed-text-v2:0"
EMBED = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": EMBEDDING_MODEL}
VECTORS = {"Effect": "Allow", "Action": "s3vectors:PutVectors", "Resource": {"Fn::GetAtt": ["Index", "IndexArn"]}}
INDEX = {
    "VectorBucketArn": {"Fn::GetAtt": ["Bucket", "VectorBucketArn"]},
    "DataType": "float32",
    "Dimension": "1024",
    "DistanceMetric": "cosine",
    "MetadataConfiguration": {"NonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT"]},
}


def a_template(*grants: dict[str, Any], source: dict[str, Any] | None = None, index: Any = None) -> dict[str, Any]:
    def of(kind: str, **properties: Any) -> dict[str, Any]:
        return {"Type": kind, "Properties": properties}

    return template(
        {
            "Bucket": of("AWS::S3Vectors::VectorBucket"),
            "Index": of("AWS::S3Vectors::Index", **(index or INDEX)),
            "Role": a_role_resource(*grants),
            "Base": of(
                "AWS::Bedrock::KnowledgeBase",
                Name="passages",
                RoleArn={"Fn::GetAtt": ["Role", "Arn"]},
                KnowledgeBaseConfiguration={
                    "Type": "VECTOR",
                    "VectorKnowledgeBaseConfiguration": {"EmbeddingModelArn": EMBEDDING_MODEL},
                },
                StorageConfiguration={
                    "Type": "S3_VECTORS",
                    "S3VectorsConfiguration": {"IndexArn": {"Fn::GetAtt": ["Index", "IndexArn"]}},
                },
            ),
            "Source": of(
                "AWS::Bedrock::DataSource",
                Name="passages",
                KnowledgeBaseId={"Ref": "Base"},
                DataSourceConfiguration=source or {"Type": "CUSTOM"},
                VectorIngestionConfiguration={"ChunkingConfiguration": {"ChunkingStrategy": "NONE"}},
            ),
        },
        {
            "BucketArn": {"Ref": "Bucket"},
            "IndexArn": {"Ref": "Index"},
            "BaseId": {"Ref": "Base"},
            "BaseArn": {"Fn::GetAtt": ["Base", "KnowledgeBaseArn"]},
            "SourceId": {"Fn::GetAtt": ["Source", "DataSourceId"]},
        },
    )


@pytest.fixture(scope="module")
def out(aws: Client) -> Iterator[dict[str, str]]:
    """The outputs of a stack whose knowledge base may embed and put vectors."""
    with deployed(aws, a_template(EMBED, VECTORS)) as stack:
        yield outputs_of(aws, stack)


def place(out: dict[str, str]) -> dict[str, str]:
    return {"knowledgeBaseId": out["BaseId"], "dataSourceId": out["SourceId"]}


def a_document(identity: str, text: str = "Some text.", **attributes: str | float) -> dict[str, Any]:
    custom = {
        "customDocumentIdentifier": {"id": identity},
        "sourceType": "IN_LINE",
        "inlineContent": {"type": "TEXT", "textContent": {"data": text}},
    }
    typed = [
        {
            "key": key,
            "value": {"type": "STRING", "stringValue": value}
            if isinstance(value, str)
            else {"type": "NUMBER", "numberValue": value},
        }
        for key, value in attributes.items()
    ]
    document: dict[str, Any] = {"content": {"dataSourceType": "CUSTOM", "custom": custom}}
    return document | ({"metadata": {"type": "IN_LINE_ATTRIBUTE", "inlineAttributes": typed}} if typed else {})


def states(client: Client, out: dict[str, str], *identities: str) -> dict[str, str]:
    named = [{"dataSourceType": "CUSTOM", "custom": {"id": one}} for one in identities]
    answer = client("bedrock-agent").get_knowledge_base_documents(**place(out), documentIdentifiers=named)
    return {detail["identifier"]["custom"]["id"]: detail["status"] for detail in answer["documentDetails"]}


def put(client: Client, out: dict[str, str], *documents: dict[str, Any]) -> None:
    """Ingests and waits, as a client of AWS must."""
    answer = client("bedrock-agent").ingest_knowledge_base_documents(**place(out), documents=list(documents))
    identities = [detail["identifier"]["custom"]["id"] for detail in answer["documentDetails"]]
    wait_until(lambda: set(states(client, out, *identities).values()) == {"INDEXED"}, 10, "documents indexed")


def found(client: Client, out: dict[str, str], question: str, **search: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = client("bedrock-agent-runtime").retrieve(
        knowledgeBaseId=out["BaseId"],
        retrievalQuery={"text": question},
        retrievalConfiguration={"vectorSearchConfiguration": search},
    )["retrievalResults"]
    return results


# ---- S3 Vectors


def test_vector_bucket_and_index_are_described_as_the_template_has_them(aws: Client, out: dict[str, str]) -> None:
    vectors = aws("s3vectors")
    bucket = vectors.get_vector_bucket(vectorBucketArn=out["BucketArn"])["vectorBucket"]
    assert out["BucketArn"].endswith(f":bucket/{bucket['vectorBucketName']}")
    assert bucket["creationTime"].year >= 2026
    index = vectors.get_index(indexArn=out["IndexArn"])["index"]
    assert (index["dimension"], index["dataType"], index["distanceMetric"]) == (1024, "float32", "cosine")
    assert index["metadataConfiguration"] == {"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT"]}
    assert (
        vectors.get_index(vectorBucketName=bucket["vectorBucketName"], indexName=index["indexName"])["index"] == index
    )


def test_vectors_themselves_are_not_kept_and_nobody_is_told_they_are(aws: Client, out: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="does not serve ListVectors"):
        aws("s3vectors").list_vectors(indexArn=out["IndexArn"])


def test_describing_an_index_needs_a_grant(aws: Client, out: dict[str, str]) -> None:
    allowed = {"Effect": "Allow", "Action": "s3vectors:GetIndex", "Resource": out["IndexArn"]}
    with a_user(aws, allowed) as user:
        assert user("s3vectors").get_index(indexArn=out["IndexArn"])["index"]["dimension"] == 1024
        with pytest.raises(ClientError, match="not authorized to perform: s3vectors:GetVectorBucket"):
            user("s3vectors").get_vector_bucket(vectorBucketArn=out["BucketArn"])


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (INDEX | {"Dimension": 5000}, "4096"),
        (INDEX | {"DistanceMetric": "manhattan"}, "distanceMetric"),
        (INDEX | {"VectorBucketArn": "arn:aws:s3vectors:eu-central-1:000000000000:bucket/none"}, "no vector bucket"),
    ],
)
def test_index_that_aws_would_refuse_fails_its_stack(aws: Client, index: dict[str, Any], reason: str) -> None:
    status, why = create(aws, "refused-index", a_template(index=index))
    delete(aws, "refused-index")
    assert status == "ROLLBACK_COMPLETE"
    assert reason in why


def test_deleted_stack_leaves_no_index_behind(aws: Client) -> None:
    with deployed(aws, a_template()) as stack:
        gone = outputs_of(aws, stack)
    with pytest.raises(ClientError) as raised:
        aws("s3vectors").get_index(indexArn=gone["IndexArn"])
    assert raised.value.response["Error"]["Code"] == "NotFoundException"


# ---- documents


def test_ingested_text_is_found_by_meaning_with_its_attributes_and_where_it_is(
    aws: Client, out: dict[str, str]
) -> None:
    put(
        aws,
        out,
        a_document("found/p1", "The replacement of a lost card costs 12 euros.", topic="cards", page=3),
        a_document("found/p2", "The ferry to the island leaves at nine.", topic="ferries"),
    )
    (best,) = found(aws, out, "How much do I pay for a new bank card?", numberOfResults=1)
    assert best["content"]["text"] == "The replacement of a lost card costs 12 euros."
    assert best["location"] == {"type": "CUSTOM", "customDocumentLocation": {"id": "found/p1"}}
    assert best["metadata"] == {"topic": "cards", "page": 3}


def test_filter_lets_nothing_else_through_however_near_it_is(aws: Client, out: dict[str, str]) -> None:
    text = "The password of the safe is tulip."
    put(aws, out, a_document("mine", text, owner="a", until=200), a_document("theirs", text, owner="b", until=200))

    def owners(owner: str, after: int) -> list[Any]:
        only = [
            {"equals": {"key": "owner", "value": owner}},
            {"greaterThan": {"key": "until", "value": after}},
        ]
        return [one["metadata"]["owner"] for one in found(aws, out, text, numberOfResults=100, filter={"andAll": only})]

    assert owners("a", 100) == ["a"]
    assert owners("b", 100) == ["b"]
    assert owners("a", 200) == owners("c", 100) == []


def test_document_under_a_known_id_takes_its_place_and_a_deleted_one_is_gone(aws: Client, out: dict[str, str]) -> None:
    only = {"equals": {"key": "of", "value": "replacement"}}
    for text in ("The first version.", "The second version."):
        put(aws, out, a_document("replaced", text, of="replacement"))
    (result,) = found(aws, out, "version", filter=only)
    assert result["content"]["text"] == "The second version."
    named = [{"dataSourceType": "CUSTOM", "custom": {"id": "replaced"}}]
    answer = aws("bedrock-agent").delete_knowledge_base_documents(**place(out), documentIdentifiers=named)
    assert [detail["status"] for detail in answer["documentDetails"]] == ["DELETING"]
    assert states(aws, out, "replaced") == {"replaced": "NOT_FOUND"}
    assert found(aws, out, "version", filter=only) == []


def test_ingestion_answers_before_it_is_done(aws: Client, out: dict[str, str]) -> None:
    answer = aws("bedrock-agent").ingest_knowledge_base_documents(**place(out), documents=[a_document("early")])
    (detail,) = answer["documentDetails"]
    assert (detail["status"], detail["knowledgeBaseId"]) == ("STARTING", out["BaseId"])
    listed = aws("bedrock-agent").list_knowledge_base_documents(**place(out))["documentDetails"]
    assert "early" in {one["identifier"]["custom"]["id"] for one in listed}


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ([a_document(f"many-{number}") for number in range(11)], "1 to 10 documents"),
        ([a_document("same"), a_document("same")], "must differ"),
        (
            [{"content": {"dataSourceType": "S3", "s3": {"s3Location": {"uri": "s3://bucket/key"}}}}],
            "dataSourceType CUSTOM",
        ),
        ([a_document("x") | {"metadata": {"type": "S3_LOCATION"}}], "inline attributes"),
    ],
)
def test_request_that_cannot_be_served_is_refused_whole(
    aws: Client, out: dict[str, str], documents: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as raised:
        aws("bedrock-agent").ingest_knowledge_base_documents(**place(out), documents=documents)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert set(states(aws, out, "many-0", "same", "x").values()) == {"NOT_FOUND"}


def test_attributes_beyond_what_a_vector_may_carry_fail_their_document(aws: Client, out: dict[str, str]) -> None:
    aws("bedrock-agent").ingest_knowledge_base_documents(
        **place(out), documents=[a_document("long", note="x" * 2_040), a_document("short", note="x")]
    )
    assert states(aws, out, "long", "short") == {"long": "FAILED", "short": "INDEXED"}


def test_data_source_of_another_type_takes_no_text(aws: Client) -> None:
    bucket = {"Type": "S3", "S3Configuration": {"BucketArn": "arn:aws:s3:::some-bucket"}}
    with deployed(aws, a_template(EMBED, VECTORS, source=bucket)) as stack:
        of_files = outputs_of(aws, stack)
        with pytest.raises(ClientError, match="type S3"):
            aws("bedrock-agent").ingest_knowledge_base_documents(**place(of_files), documents=[a_document("x")])


@pytest.mark.parametrize(
    ("grants", "missing"), [((VECTORS,), "bedrock:InvokeModel"), ((EMBED,), "s3vectors:PutVectors")]
)
def test_document_fails_where_the_role_may_not_embed_or_put(
    aws: Client, grants: tuple[dict[str, Any], ...], missing: str
) -> None:
    with deployed(aws, a_template(*grants)) as stack:
        powerless = outputs_of(aws, stack)
        aws("bedrock-agent").ingest_knowledge_base_documents(**place(powerless), documents=[a_document("x")])
        named = [{"dataSourceType": "CUSTOM", "custom": {"id": "x"}}]
        (detail,) = aws("bedrock-agent").get_knowledge_base_documents(**place(powerless), documentIdentifiers=named)[
            "documentDetails"
        ]
    assert detail["status"] == "FAILED"
    assert missing in detail["statusReason"]


def test_putting_in_and_retrieving_need_grants_on_the_knowledge_base(aws: Client, out: dict[str, str]) -> None:
    ingest = {"Effect": "Allow", "Action": "bedrock:IngestKnowledgeBaseDocuments", "Resource": out["BaseArn"]}
    with a_user(aws, ingest) as user:
        user("bedrock-agent").ingest_knowledge_base_documents(**place(out), documents=[a_document("granted")])
        with pytest.raises(ClientError, match="bedrock:GetKnowledgeBaseDocuments"):
            states(user, out, "granted")
        with pytest.raises(ClientError, match="bedrock:Retrieve"):
            found(user, out, "text")


# ---- upstream


def test_engine_still_lacks_the_text_of_ingested_documents_and_the_types() -> None:
    document = json.dumps({"documents": [a_document("lost")]}).encode()
    _, _, body = bedrock_agent._ingest_kb_documents("KB", "DS", document)
    assert bedrock_agent._kb_document_texts.get("KB/DS/lost") is None
    assert "identifier" not in json.loads(body)["documentDetails"][0]
    assert "AWS::S3Vectors::Index" not in provisioners._RESOURCE_HANDLERS
    assert "s3vectors" not in router.SERVICE_PATTERNS
