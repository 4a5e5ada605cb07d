"""Functions for a test of asynchronous invocation; they stay until the engine of the test run ends."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.engine.functions import create_role, zipped
from tests.engine.waiting import wait_until


def a_function(
    aws: Callable[[str], Any], source: str, *, invoked_by: str | None = None, on_failure: str | None = None
) -> str:
    """The ARN of a fresh function whose module is ``source`` (with a ``handler``).

    ``invoked_by`` is the service that its policy lets in. An event that fails at its first and only attempt goes to the
    ARN ``on_failure``.
    """
    functions, name = aws("lambda"), f"function-{uuid4().hex[:8]}"
    arn: str = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=create_role(aws, {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}),
        Code={"ZipFile": zipped(index=source)},
        Timeout=10,
    )["FunctionArn"]
    wait_until(
        lambda: functions.get_function_configuration(FunctionName=name)["State"] == "Active", 10, f"{name} is active"
    )
    if invoked_by:
        functions.add_permission(
            FunctionName=name, StatementId="invoke", Action="lambda:InvokeFunction", Principal=invoked_by
        )
    if on_failure:
        functions.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": on_failure}}
        )
    return arn
