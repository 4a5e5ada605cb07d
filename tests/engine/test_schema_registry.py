"""The schema registry, through CloudFormation and through unmodified boto3."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack import app

from tests.engine.callers import a_user
from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template, update

FLAGGED: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "title": "TransactionFlagged",
    "type": "object",
    "required": ["transactionId"],
    "properties": {"transactionId": {"type": "string"}},
}
OPENAPI: dict[str, Any] = {
    "openapi": "3.0.0",
    "info": {"title": "TransactionFlagged", "version": "1"},
    "paths": {},
    "components": {
        "schemas": {
            "AWSEvent": {"type": "object", "properties": {"detail": {"$ref": "#/components/schemas/Detail"}}},
            "Detail": {"type": "object", "required": ["transactionId"]},
        }
    },
}


def a_registry(content: dict[str, Any] | str = "", kind: str = "JSONSchemaDraft4") -> dict[str, Any]:
    return template(
        {
            "Registry": {
                "Type": "AWS::EventSchemas::Registry",
                "Properties": {"RegistryName": "backbone", "Description": "contracts"},
            },
            "Schema": {
                "Type": "AWS::EventSchemas::Schema",
                "Properties": {
                    "RegistryName": {"Fn::GetAtt": ["Registry", "RegistryName"]},
                    "SchemaName": "backbone.payments@TransactionFlagged",
                    "Type": kind,
                    "Content": content if isinstance(content, str) and content else json.dumps(content or FLAGGED),
                    "Tags": [{"Key": "domain", "Value": "payments"}],
                },
            },
        },
        {
            "Ref": {"Ref": "Schema"},
            "SchemaArn": {"Fn::GetAtt": ["Schema", "SchemaArn"]},
            "SchemaName": {"Fn::GetAtt": ["Schema", "SchemaName"]},
            "SchemaVersion": {"Fn::GetAtt": ["Schema", "SchemaVersion"]},
            "RegistryRef": {"Ref": "Registry"},
            "RegistryArn": {"Fn::GetAtt": ["Registry", "RegistryArn"]},
            "RegistryName": {"Fn::GetAtt": ["Registry", "RegistryName"]},
        },
    )


def test_schema_is_described_with_its_content_when_its_stack_stands(aws: Client) -> None:
    with deployed(aws, a_registry()) as stack:
        outputs = outputs_of(aws, stack)
        assert outputs["Ref"] == outputs["SchemaArn"]
        assert outputs["SchemaArn"].endswith(":schema/backbone/backbone.payments@TransactionFlagged")
        assert outputs["SchemaVersion"] == "1"
        assert outputs["RegistryRef"] == outputs["RegistryArn"]
        assert outputs["RegistryArn"].endswith(":registry/backbone")
        schemas = aws("schemas")
        described = schemas.describe_schema(RegistryName=outputs["RegistryName"], SchemaName=outputs["SchemaName"])
        assert json.loads(described["Content"]) == FLAGGED
        assert described["Type"] == "JSONSchemaDraft4"
        assert described["Tags"] == {"domain": "payments"}
        assert schemas.describe_registry(RegistryName="backbone")["Description"] == "contracts"
        assert [found["RegistryName"] for found in schemas.list_registries()["Registries"]] == ["backbone"]
    assert aws("schemas").list_registries()["Registries"] == []


def test_changed_content_makes_a_new_version_and_the_old_one_stays_readable(aws: Client) -> None:
    with deployed(aws, a_registry()) as stack:
        changed = FLAGGED | {"required": ["transactionId", "score"]}
        assert update(aws, stack, a_registry(changed)) == ("UPDATE_COMPLETE", "")
        outputs = outputs_of(aws, stack)
        assert outputs["SchemaVersion"] == "2"
        where = {"RegistryName": "backbone", "SchemaName": outputs["SchemaName"]}
        schemas = aws("schemas")
        versions = schemas.list_schema_versions(**where)["SchemaVersions"]
        assert [version["SchemaVersion"] for version in versions] == ["2", "1"]
        assert json.loads(schemas.describe_schema(**where, SchemaVersion="1")["Content"]) == FLAGGED
        assert json.loads(schemas.describe_schema(**where)["Content"]) == changed
        (listed,) = schemas.list_schemas(RegistryName="backbone")["Schemas"]
        assert listed["VersionCount"] == 2


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("Avro", FLAGGED, "not one of OpenApi3, JSONSchemaDraft4"),
        ("JSONSchemaDraft4", "{not json", "not valid JSON"),
        ("JSONSchemaDraft4", {"type": "thing"}, "not a valid draft 4 schema"),
        ("JSONSchemaDraft4", {"$schema": "https://json-schema.org/draft/2020-12/schema"}, "not draft 4"),
        ("OpenApi3", FLAGGED, "not an OpenAPI 3.0 document"),
    ],
)
def test_schema_fails_its_stack_with_the_reason_when_aws_would_refuse_it(
    aws: Client, kind: str, content: dict[str, Any] | str, reason: str
) -> None:
    status, why = create(aws, "bad-schema", a_registry(content, kind))
    delete(aws, "bad-schema")
    assert status == "ROLLBACK_COMPLETE"
    assert reason in why


def test_schema_fails_its_stack_when_it_names_its_registry_by_ref(aws: Client) -> None:
    body = a_registry()
    body["Resources"]["Schema"]["Properties"]["RegistryName"] = {"Ref": "Registry"}
    status, why = create(aws, "bad-reference", body)
    delete(aws, "bad-reference")
    assert status == "ROLLBACK_COMPLETE"
    assert "its name is Fn::GetAtt RegistryName" in why


def test_rejected_change_rolls_back_to_the_version_that_stood(aws: Client) -> None:
    with deployed(aws, a_registry()) as stack:
        assert update(aws, stack, a_registry({"type": "thing"}))[0] == "UPDATE_ROLLBACK_COMPLETE"
        described = aws("schemas").describe_schema(
            RegistryName="backbone", SchemaName="backbone.payments@TransactionFlagged"
        )
        assert json.loads(described["Content"]) == FLAGGED


def test_search_and_export_find_the_schema_when_it_is_openapi(aws: Client) -> None:
    with deployed(aws, a_registry(OPENAPI, "OpenApi3")):
        schemas = aws("schemas")
        (found,) = schemas.search_schemas(RegistryName="backbone", Keywords="transactionid")["Schemas"]
        assert schemas.search_schemas(RegistryName="backbone", Keywords="nowhere")["Schemas"] == []
        exported = schemas.export_schema(
            RegistryName="backbone", SchemaName=found["SchemaName"], Type="JSONSchemaDraft4"
        )
        document = json.loads(exported["Content"])
        assert document["properties"]["detail"] == {"$ref": "#/definitions/Detail"}
        assert document["definitions"]["Detail"]["required"] == ["transactionId"]


def test_missing_schema_is_a_not_found_exception(aws: Client) -> None:
    schemas = aws("schemas")
    with pytest.raises(schemas.exceptions.NotFoundException, match="does not exist"):
        schemas.describe_schema(RegistryName="nowhere", SchemaName="nothing")


def test_discoverer_is_started_when_its_stack_stands(aws: Client) -> None:
    body = template(
        {
            "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "discovered"}},
            "Discoverer": {
                "Type": "AWS::EventSchemas::Discoverer",
                "Properties": {"SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]}, "Description": "development only"},
            },
        },
        {"Id": {"Fn::GetAtt": ["Discoverer", "DiscovererId"]}},
    )
    with deployed(aws, body) as stack:
        schemas, identifier = aws("schemas"), outputs_of(aws, stack)["Id"]
        assert schemas.describe_discoverer(DiscovererId=identifier)["State"] == "STARTED"
        assert schemas.stop_discoverer(DiscovererId=identifier)["State"] == "STOPPED"
        assert [found["DiscovererId"] for found in schemas.list_discoverers()["Discoverers"]] == [identifier]


def test_caller_is_denied_when_its_policy_names_another_registry(aws: Client) -> None:
    with deployed(aws, a_registry()):
        grant = {"Effect": "Allow", "Action": "schemas:DescribeRegistry", "Resource": "*:registry/other"}
        with a_user(aws, grant) as client:
            schemas = client("schemas")
            with pytest.raises(ClientError, match="not authorized to perform: schemas:DescribeRegistry"):
                schemas.describe_registry(RegistryName="backbone")
        with a_user(aws, grant | {"Resource": "*:registry/backbone"}) as client:
            assert client("schemas").describe_registry(RegistryName="backbone")["RegistryName"] == "backbone"


def test_engine_still_lacks_the_schemas_service() -> None:
    assert "schemas" not in app.SERVICE_HANDLERS
