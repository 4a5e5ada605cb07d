"""The schema registry in the template is the schema files, all of them and word for word."""

from tests.contract.schema_files import SCHEMAS, schemas_in
from tests.sam_template import resources, target_of


def test_the_registry_holds_every_schema_file_and_nothing_else() -> None:
    registered = {schema["SchemaName"]: schema["Content"] for schema in resources("AWS::EventSchemas::Schema").values()}
    expected = {
        name.replace("/", "@"): {
            "Fn::ToJsonString": {
                "Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": f"schemas/{name}.json"}}
            }
        }
        for name in schemas_in(SCHEMAS)
    }
    assert registered == expected


def test_every_schema_is_draft_04_in_the_one_registry_and_described() -> None:
    (registry,) = resources("AWS::EventSchemas::Registry")
    for schema in resources("AWS::EventSchemas::Schema").values():
        assert schema["Type"] == "JSONSchemaDraft4"
        assert target_of(schema["RegistryName"]) == registry
        assert schema["Description"]
