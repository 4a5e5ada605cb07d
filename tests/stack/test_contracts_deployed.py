"""What the deployed registry holds."""

import json

from local.process import PROJECT
from tests.stack.deployed import Stack


def test_registry_holds_each_schema_file_word_for_word(stack: Stack) -> None:
    schemas, registry = stack.client("schemas"), stack.outputs["SchemaRegistryName"]
    names = [schema["SchemaName"] for schema in schemas.list_schemas(RegistryName=registry)["Schemas"]]
    held = {
        name: json.loads(schemas.describe_schema(RegistryName=registry, SchemaName=name)["Content"]) for name in names
    }
    files = {
        f"{path.parent.name}@{path.stem}": json.loads(path.read_text())
        for path in (PROJECT / "schemas").glob("*/*.json")
    }
    assert held == files
