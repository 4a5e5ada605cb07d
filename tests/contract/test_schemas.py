"""The schema files: valid, named as they are filed, all known to the code, and described to the last field."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft4Validator

from backbone import contracts
from tests.contract.schema_files import SCHEMAS, event_schemas, sample_envelopes, sample_transactions, schemas_in
from tests.sam_template import resources

EVENTS = event_schemas()
ALL = schemas_in(SCHEMAS)


@pytest.mark.parametrize("name", ALL)
def test_schema_is_valid_draft_04_and_says_its_own_name(name: str) -> None:
    schema = ALL[name]
    Draft4Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert schema["id"] == name
    assert schema["title"] == name.rpartition("/")[2].rpartition(".")[0]
    assert schema["description"].endswith(".")


@pytest.mark.parametrize("name", EVENTS)
def test_metadata_is_the_same_in_every_event_but_for_its_version(name: str) -> None:
    metadata = json.loads(json.dumps(EVENTS[name]["properties"]["metadata"]))
    version = metadata["properties"]["eventVersion"].pop("enum")
    assert version == [int(name.rpartition(".v")[2])]
    first = json.loads(json.dumps(next(iter(EVENTS.values()))["properties"]["metadata"]))
    del first["properties"]["eventVersion"]["enum"]
    assert metadata == first
    assert set(EVENTS[name]["required"]) == {"metadata", "data"}


def test_the_code_knows_the_events_that_have_a_schema_and_no_others() -> None:
    filed = {(name.partition("/")[0], name.partition("/")[2].rpartition(".v")[0]) for name in EVENTS}
    assert {(source, event) for event, source in contracts.SOURCES.items()} == filed


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property at any depth with its path."""
    for name, property_ in schema.get("properties", {}).items():
        yield f"{path}{name}", property_
        yield from fields(property_, f"{path}{name}.")
        yield from fields(property_.get("items", {}), f"{path}{name}[].")


@pytest.mark.parametrize("name", ALL)
def test_every_field_has_a_type(name: str) -> None:
    assert [path for path, property_ in fields(ALL[name]) if "type" not in property_] == []


def test_every_text_and_number_that_a_producer_sends_is_bounded() -> None:
    bounds = {"string": ({"pattern"}, {"maxLength"}), "integer": ({"minimum", "maximum"},)}
    bounds["number"] = bounds["integer"]
    unbounded = [
        path
        for path, property_ in fields(ALL["backbone.payments/Transaction.v1"])
        if property_["type"] in bounds and not any(bound <= property_.keys() for bound in bounds[property_["type"]])
    ]
    assert unbounded == []


def without_words(schema: object) -> object:
    """The schema without what it says to people (a field may bear such a name: then it is a schema itself)."""
    if not isinstance(schema, dict):
        return schema
    words = ("description", "title", "$schema", "id")
    return {key: without_words(value) for key, value in schema.items() if key not in words or isinstance(value, dict)}


def test_the_api_takes_what_the_stream_takes() -> None:
    (api,) = resources("AWS::Serverless::Api").values()
    model = api["DefinitionBody"]["components"]["schemas"]["Transaction"]
    assert json.loads(json.dumps(model)) == without_words(ALL["backbone.payments/Transaction.v1"])


# ---- the sample events: AWS's own validator library and the functions' one agree


def says(name: str, document: object) -> tuple[bool, bool]:
    """Whether jsonschema and the functions' validator find ``document`` valid."""
    return Draft4Validator(ALL[name]).is_valid(document), contracts.violation(name, document) is None


@pytest.mark.parametrize("sample", ["good", "edge"])
def test_transactions_in_the_samples_keep_their_schema(sample: str) -> None:
    verdicts = [says("backbone.payments/Transaction.v1", json.loads(data)) for data in sample_transactions(sample)]
    assert verdicts == [(True, True)] * len(verdicts)


def test_transactions_in_the_bad_sample_break_their_schema_where_they_are_meant_to() -> None:
    documents = [json.loads(data) for data in sample_transactions("bad") if data.startswith(b"{")]
    verdicts = [says("backbone.payments/Transaction.v1", document) for document in documents]
    broken = [position for position, verdict in enumerate(verdicts) if verdict == (False, False)]
    assert broken == [1, 2]  # no cardId, a negative amount; the others are too early, too late or too large
    assert all(verdict == (True, True) for position, verdict in enumerate(verdicts) if position not in broken)


@pytest.mark.parametrize("sample", ["good", "edge"])
def test_events_in_the_samples_keep_their_schema(sample: str) -> None:
    for body in sample_envelopes(sample):
        envelope = json.loads(body)
        assert says("backbone.payments/TransactionFlagged.v1", envelope["detail"]) == (True, True)
        assert contracts.parse("TransactionFlagged", envelope).source == envelope["source"]
