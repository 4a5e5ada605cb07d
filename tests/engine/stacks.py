"""Stacks in a test: a template in, outputs out, and the stack gone again at the end."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from tests.engine.waiting import wait_until

type Client = Callable[[str], Any]
type Template = dict[str, Any]


def template(resources: dict[str, Any], outputs: dict[str, Any] | None = None, **sections: Any) -> Template:
    """A template of ``resources`` whose outputs are ``outputs`` by name."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": resources,
        "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()},
        **sections,
    }


def outputs_of(aws: Client, stack: str) -> dict[str, str]:
    """The outputs of ``stack``."""
    (described,) = aws("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


@contextmanager
def deployed(aws: Client, body: Template) -> Iterator[str]:
    """The name of a stack that stands while the block runs; AssertionError with the reason where it does not deploy."""
    name = f"test-{uuid4().hex[:8]}"
    status, reason = create(aws, name, body)
    try:
        assert status == "CREATE_COMPLETE", reason
        yield name
    finally:
        delete(aws, name)


def create(aws: Client, name: str, body: Template) -> tuple[str, str]:
    """Creates the stack; its final status and, where a resource failed, the first failure's reason."""
    aws("cloudformation").create_stack(
        StackName=name,
        TemplateBody=json.dumps(body),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    return _settled(aws, name)


def update(aws: Client, name: str, body: Template) -> tuple[str, str]:
    """Updates the stack; its final status and, where a resource failed, the first failure's reason."""
    aws("cloudformation").update_stack(
        StackName=name,
        TemplateBody=json.dumps(body),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    return _settled(aws, name)


def delete(aws: Client, name: str) -> None:
    """Deletes the stack and waits until it is gone; AssertionError where it is not."""
    aws("cloudformation").delete_stack(StackName=name)
    wait_until(lambda: not _listed(aws, name), 30, f"stack {name} is deleted")


def _listed(aws: Client, name: str) -> bool:
    gone = ("DELETE_COMPLETE",)
    summaries = aws("cloudformation").list_stacks()["StackSummaries"]
    return any(stack["StackName"] == name and stack["StackStatus"] not in gone for stack in summaries)


def _settled(aws: Client, name: str) -> tuple[str, str]:
    def status() -> str | None:
        (stack,) = aws("cloudformation").describe_stacks(StackName=name)["Stacks"]
        now: str = stack["StackStatus"]
        return None if now.endswith("IN_PROGRESS") else now

    final = wait_until(status, 60, f"stack {name} settles")
    events = aws("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failures = [event for event in reversed(events) if event["ResourceStatus"].endswith("FAILED")]
    return str(final), failures[-1].get("ResourceStatusReason", "") if failures else ""
