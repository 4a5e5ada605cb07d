"""AWS::Events::Archive: a stack makes, changes, replaces and deletes an archive of the engine's EventBridge."""

import json
from typing import Any

import pytest
from ministack.services.cloudformation import provisioners

from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template, update
from tests.engine.waiting import wait_until


def an_archive(**properties: Any) -> dict[str, Any]:
    return template(
        {
            "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "archived"}},
            "Archive": {
                "Type": "AWS::Events::Archive",
                "Properties": {"SourceArn": {"Fn::GetAtt": ["Bus", "Arn"]}, **properties},
            },
        },
        {"Name": {"Ref": "Archive"}, "Arn": {"Fn::GetAtt": ["Archive", "Arn"]}},
    )


def test_archive_keeps_the_events_of_its_bus_that_match_its_pattern(aws: Client) -> None:
    with deployed(aws, an_archive(ArchiveName="kept", EventPattern={"source": ["a"]}, RetentionDays=3)) as stack:
        outputs = outputs_of(aws, stack)
        assert outputs["Name"] == "kept"
        assert outputs["Arn"].endswith(":archive/kept")
        entries = [
            {"EventBusName": "archived", "Source": source, "DetailType": "T", "Detail": "{}"} for source in ("a", "b")
        ]
        assert aws("events").put_events(Entries=entries)["FailedEntryCount"] == 0
        described = wait_until(
            lambda: (found := aws("events").describe_archive(ArchiveName="kept"))["EventCount"] and found,
            5,
            "the archive counts an event",
        )
        assert described["EventCount"] == 1
        assert described["RetentionDays"] == 3


def test_archive_changes_in_place_when_its_pattern_changes_and_goes_with_its_stack(aws: Client) -> None:
    with deployed(aws, an_archive(EventPattern={"source": ["a"]}, Description="old", RetentionDays=3)) as stack:
        name = outputs_of(aws, stack)["Name"]
        assert update(aws, stack, an_archive(EventPattern={"source": ["b"]})) == ("UPDATE_COMPLETE", "")
        assert outputs_of(aws, stack)["Name"] == name
        described = aws("events").describe_archive(ArchiveName=name)
        assert json.loads(described["EventPattern"]) == {"source": ["b"]}
        assert not described["Description"]
        assert not described["RetentionDays"]
    assert name not in [archive["ArchiveName"] for archive in aws("events").list_archives()["Archives"]]


def test_archive_is_replaced_when_its_name_changes(aws: Client) -> None:
    with deployed(aws, an_archive(ArchiveName="first")) as stack:
        assert update(aws, stack, an_archive(ArchiveName="second"))[0] == "UPDATE_COMPLETE"
        names = [archive["ArchiveName"] for archive in aws("events").list_archives()["Archives"]]
        assert "second" in names
        assert "first" not in names


def test_archive_fails_its_stack_with_the_reason_when_its_pattern_is_invalid(aws: Client) -> None:
    status, reason = create(aws, "bad-archive", an_archive(EventPattern={"source": "not-a-list"}))
    delete(aws, "bad-archive")
    assert status == "ROLLBACK_COMPLETE"
    assert "InvalidEventPatternException" in reason


@pytest.mark.parametrize("kind", ["AWS::Events::Archive", "AWS::EventSchemas::Schema", "AWS::SageMaker::Endpoint"])
def test_engine_still_lacks_the_resource_type(kind: str) -> None:
    assert kind not in provisioners._RESOURCE_HANDLERS
