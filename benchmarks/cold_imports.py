"""How long each function takes to be imported, beside boto3 and the same clients alone: what a cold start adds of ours.

A process of the plain Python sees what Lambda would give it: the built function, the built layer, the packages of the
runtime's image, the deployed environment. Processor time, the least of several tries: a busy machine adds to it, and
never takes from it.
"""

import json
import os
import resource
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.lambda_runtime_folder import BASE_PYTHON, ensure_lambda_runtime
from local.process import PROJECT
from local.stack import Stack, aws_variables

TRIES = 3
_BUILT = PROJECT / ".aws-sam" / "build"
# Imports the function as the runtime does, and notes which clients it makes.
_NOTING = """
import json, boto3
made, make = [], boto3.client
def noting(service, *arguments, **options):
    made.append(service)
    return make(service, *arguments, **options)
boto3.client = noting
__import__({module!r})
print(json.dumps(made))
"""
_CLIENTS_ALONE = """
import boto3
from botocore.config import Config
for service in {services!r}:
    boto3.client(service, config=Config(retries={{"total_max_attempts": 1, "mode": "standard"}}))
"""


@dataclass(frozen=True, slots=True)
class ColdImport:
    """Processor seconds of importing the function, and of boto3 with its ``clients`` alone."""

    name: str
    seconds: float
    clients_alone: float
    clients: tuple[str, ...]

    @property
    def ratio(self) -> float:
        return self.seconds / self.clients_alone


def cold_imports(stack: Stack) -> list[ColdImport]:
    """Every function of the deployed ``stack``, slowest ratio first. Raises RuntimeError where one does not import."""
    functions = [name for name in stack.resources if name.endswith("Function") and (_BUILT / name).is_dir()]
    return sorted((measure(stack, name) for name in functions), key=lambda one: -one.ratio)


def measure(stack: Stack, logical_id: str) -> ColdImport:
    """One function by its logical id. Raises RuntimeError where it does not import."""
    deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.resources[logical_id])
    module = deployed["Handler"].partition(".")[0]
    variables = aws_variables(stack.endpoint) | deployed["Environment"]["Variables"]
    folders = [_BUILT / logical_id, _BUILT / "BackboneLayer" / "python", ensure_lambda_runtime(PROJECT)]
    _, said = _run(_NOTING.format(module=module), folders, variables)
    services = json.loads(said.splitlines()[-1])
    alone = _CLIENTS_ALONE.format(services=services)
    return ColdImport(
        logical_id,
        min(_run(f"import {module}", folders, variables)[0] for _ in range(TRIES)),
        min(_run(alone, folders, variables)[0] for _ in range(TRIES)),
        tuple(services),
    )


def _run(code: str, folders: Sequence[Path], variables: Mapping[str, str]) -> tuple[float, str]:
    """Processor seconds of a process that runs ``code``, and what it printed."""
    environment = {
        **variables,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "LAMBDA_TASK_ROOT": str(folders[0]),  # by this the X-Ray SDK knows where it is
    }
    before = _children()
    ended = subprocess.run(  # noqa: S603 - the project's own code
        [BASE_PYTHON, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{folders[0].name}: {ended.stderr.strip()[-500:]}")
    return _children() - before, ended.stdout


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
