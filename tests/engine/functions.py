"""Functions in a test: code in, a name out, and the function gone again at the end."""

import base64
import io
import json
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.engine.stacks import Client

ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True)
class Answer:
    """What one synchronous invocation gave: its payload, ``Handled``/``Unhandled`` or None, the tail of its log."""

    payload: Any
    error: str | None
    log: str


def zipped(**modules: str) -> bytes:
    """A zip file of modules: ``zipped(app="...")`` holds app.py; ``__`` in a name stands for a folder's slash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, code in modules.items():
            archive.writestr(f"{name.replace('__', '/')}.py", textwrap.dedent(code))
    return content.getvalue()


@contextmanager
def a_function(aws: Client, code: str, *, timeout: int = 10, **options: Any) -> Iterator[str]:
    """The name of a Python function whose module ``app`` is ``code`` and whose role may do everything."""
    with a_role(aws, ANYTHING) as role:
        name = create_function(aws, code, timeout=timeout, **{"Role": role} | options)
        try:
            yield name
        finally:
            aws("lambda").delete_function(FunctionName=name)


@contextmanager
def a_role(aws: Client, *statements: dict[str, Any], service: str = "lambda.amazonaws.com") -> Iterator[str]:
    """The ARN of a role that ``service`` may assume and whose policy is ``statements``."""
    arn = create_role(aws, *statements, service=service)
    iam, name = aws("iam"), arn.rpartition("/")[2]
    try:
        yield arn
    finally:
        if statements:
            iam.delete_role_policy(RoleName=name, PolicyName="test")
        iam.delete_role(RoleName=name)


def create_function(aws: Client, code: str, *, timeout: int = 10, **options: Any) -> str:
    """As ``a_function``, for an engine that will be gone before the function is."""
    name, functions = f"function-{uuid4().hex[:8]}", aws("lambda")
    options = {"Runtime": "python3.13", "Handler": "app.handler"} | options
    options["Role"] = options.get("Role") or create_role(aws, ANYTHING)
    functions.create_function(FunctionName=name, Timeout=timeout, Code={"ZipFile": zipped(app=code)}, **options)
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    return name


def create_role(aws: Client, *statements: dict[str, Any], service: str = "lambda.amazonaws.com") -> str:
    """As ``a_role``, for an engine that will be gone before the role is."""
    iam, name = aws("iam"), f"role-{uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy)
    return arn


def invoke(aws: Client, name: str, event: Any = None) -> Answer:
    """Invokes and waits for the answer."""
    answer = aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), LogType="Tail")
    log = base64.b64decode(answer.get("LogResult", "")).decode()
    return Answer(json.loads(answer["Payload"].read()), answer.get("FunctionError"), log)


def logged(aws: Client, name: str) -> list[str]:
    """All messages in the function's log group, in order of time."""
    events = aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", limit=10000)["events"]
    return [event["message"] for event in events]
