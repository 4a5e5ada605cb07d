"""Functions and roles for a test of asynchronous invocation; they stay until the engine of the test run ends."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.engine.functions import zipped
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
        Role=a_role(aws, "lambda.amazonaws.com", {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}),
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


def a_role(aws: Callable[[str], Any], service: str, *statements: dict[str, Any]) -> str:
    """The ARN of a fresh role that ``service`` may assume, with ``statements`` as its policy."""
    iam, name = aws("iam"), f"role-{uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=_policy(*statements))
    return arn


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
