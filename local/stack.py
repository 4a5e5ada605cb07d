"""The project's stack on an embedded AWS: built and deployed by the real SAM CLI, described through boto3."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from local.execute_api import local_execute_api_address
from local.process import PROJECT, tail, with_bytecode

REGION = "eu-central-1"  # of config env "local" in samconfig.toml, as are the next two
STACK_NAME = "backbone"
DEPLOYMENT_BUCKET = "backbone-deployments"
TRANSACTION_SHARDS = 2

_SCRIPTS = Path(sys.executable).parent
_BUILD_LOCK = PROJECT / ".local" / "build.lock"
_CANNOT_BE_UPDATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


class StackError(Exception):
    """The stack could not be built or deployed; the message says why and where to look."""


@dataclass(frozen=True)
class Stack:
    """The deployed stack at ``endpoint``: its outputs by key, its resources' physical ids by logical id."""

    endpoint: str
    outputs: Mapping[str, str]
    resources: Mapping[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client of the engine's root identity."""
        return client(service, self.endpoint)

    def queues(self) -> dict[str, str]:
        """Queue URL by logical id."""
        return {name: url for name, url in self.resources.items() if name.endswith("Queue")}


def aws_variables(endpoint: str) -> dict[str, str]:
    """The environment that points any AWS tool at ``endpoint``. The credentials are made up, and need be no secret."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


@cache
def client(service: str, endpoint: str) -> Any:
    """A boto3 client of ``service`` at ``endpoint``, whatever AWS settings the developer's shell has."""
    variables = aws_variables(endpoint)
    return Session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 3, "mode": "standard"}, read_timeout=30, max_pool_connections=20),
    )


def without_aws_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with nothing in it that could lead a command to somebody's AWS account."""
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def sam_environment(endpoint: str) -> dict[str, str]:
    """The environment of a SAM CLI that speaks to ``endpoint``.

    The build asks PATH for python3.13 and pip, so the project's own come first.
    """
    path = f"{_SCRIPTS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return with_bytecode(without_aws_settings(os.environ)) | {
        **aws_variables(endpoint),
        "PATH": path,
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",  # seconds; the default of 5 is for an AWS that takes minutes
        "PIP_NO_INPUT": "1",
    }


def build(log: Path) -> None:
    """``sam build``, everything that it prints in ``log``. Raises StackError with its last lines."""
    with _alone():
        _sam(["build", "--cached", "--parallel", "--config-env", "local"], "http://127.0.0.1", log)


def deploy(endpoint: str, log: Path) -> Stack:
    """``sam deploy`` of what was built; returns the stack. Raises StackError with the resources that failed and why.

    A stack that an interrupted first deploy left behind is deleted first: CloudFormation takes no update of it.
    """
    began = datetime.now(UTC)
    overrides = [f"AwsEndpointUrl={endpoint}", f"TransactionShards={TRANSACTION_SHARDS}"]
    arguments = ["deploy", "--config-env", "local", "--no-progressbar", "--parameter-overrides", *overrides]
    try:
        with _alone():
            _ensure_bucket(endpoint)
            _delete_where_stuck(endpoint)
            _sam(arguments, endpoint, log)
    except StackError as failed:
        reasons = _failed_events(endpoint, began)
        if not reasons:
            raise
        raise StackError("\n  ".join([f"The deployment failed (all of it: {log}):", *reasons])) from failed
    return describe(endpoint)


def status(endpoint: str) -> str | None:
    """CloudFormation's word on the stack, e.g. ``CREATE_COMPLETE``; None where there is none."""
    try:
        stacks = client("cloudformation", endpoint).describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return str(stacks[0]["StackStatus"])


def describe(endpoint: str) -> Stack:
    """The stack as it stands. Raises StackError where it is not there or not complete."""
    found = status(endpoint)
    if found not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise StackError(f"The stack {STACK_NAME} is {found or 'not deployed'}. `make up` deploys it.")
    cloudformation = client("cloudformation", endpoint)
    outputs = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0].get("Outputs", [])
    resources = cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    return Stack(
        endpoint,
        {output["OutputKey"]: local_address(output["OutputValue"], endpoint) for output in outputs},
        {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )


def local_address(value: str, endpoint: str) -> str:
    """An output's value with the AWS host name in it, if any, replaced by the address that works here.

    An API's address, of REST or WebSocket, as ``local.execute_api`` says; a queue's keeps its path.
    """
    value = local_execute_api_address(value, endpoint)
    return re.sub(r"^https?://(sqs\.[a-z0-9.-]+|localhost(:\d+)?)/", f"{endpoint}/", value)


def write_environment(file: Path, endpoint: str) -> None:
    """Writes ``file`` for a shell to source, so that any AWS tool in it speaks to ``endpoint``."""
    lines = ["# To source: points the AWS CLI, SAM CLI and SDKs at the embedded AWS. The credentials are made up."]
    lines += [f"export {name}={value}" for name, value in aws_variables(endpoint).items()]
    file.write_text("\n".join([*lines, "unset AWS_PROFILE AWS_SESSION_TOKEN", ""]))


def write_outputs(file: Path, stack: Stack) -> None:
    """Writes the stack's outputs as one JSON object."""
    file.write_text(json.dumps(dict(stack.outputs), indent=2, sort_keys=True) + "\n")


def depth(sqs: Any, url: str) -> int:
    """How many messages a queue holds, in flight or delayed ones included."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes.get(name, 0)) for name in names)


def _sam(arguments: list[str], endpoint: str, log: Path) -> None:
    """Runs the SAM CLI in a session of its own: it ends with this process, and not with the terminal's Ctrl-C."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        sam = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "local.owned", "samcli", *arguments],
            cwd=PROJECT,
            env=sam_environment(endpoint),
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with sam:
        code = sam.wait()
    if code != 0:
        raise StackError(f"`sam {arguments[0]}` failed. The end of {log}:\n{tail(log)}")


def _ensure_bucket(endpoint: str) -> None:
    s3 = client("s3", endpoint)
    if DEPLOYMENT_BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=DEPLOYMENT_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})


def _delete_where_stuck(endpoint: str) -> None:
    cloudformation = client("cloudformation", endpoint)
    found = status(endpoint)
    delay = {"Delay": 1, "MaxAttempts": 120}
    if found == "CREATE_IN_PROGRESS":
        try:
            cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK_NAME, WaiterConfig=delay)
        except BotoCoreError:
            found = status(endpoint)
    if found in _CANNOT_BE_UPDATED:
        cloudformation.delete_stack(StackName=STACK_NAME)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK_NAME, WaiterConfig=delay)


def _failed_events(endpoint: str, since: datetime) -> list[str]:
    try:
        answer = client("cloudformation", endpoint).describe_stack_events(StackName=STACK_NAME)
    except (ClientError, BotoCoreError) as error:
        return [f"(the stack's events could not be read: {error})"]
    recent = [event for event in reversed(answer["StackEvents"]) if event["Timestamp"] >= since]
    failed = [event for event in recent if event["ResourceStatus"].endswith("_FAILED")]
    return [
        f"{event['LogicalResourceId']}: {event['ResourceStatus']}: {event.get('ResourceStatusReason', 'no reason')}"
        for event in failed
    ]


@contextmanager
def _alone() -> Iterator[None]:
    """One build or deploy at a time: they share .aws-sam/build."""
    _BUILD_LOCK.parent.mkdir(parents=True, exist_ok=True)
    with _BUILD_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
