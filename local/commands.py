"""The commands that speak to an engine that runs already: status, logs, invoke."""

import os
import sys
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local import places, stack
from local.narration import Narrator
from local.places import Place, RunningEngine
from local.process import PROJECT, is_healthy
from local.transaction_flow import take_stock


def status(home: Path, narrator: Narrator) -> int:
    """Tells what runs, where, since when, and how much waits in which queue."""
    running = [
        (place, engine) for place in (places.lasting(home), *places.passing_places(home)) if (engine := place.running())
    ]
    if not running:
        narrator.tell("Nothing runs. `make up` starts it, `make run` shows it at work.")
        left = places.lasting(home).recorded()
        if left is not None:
            narrator.tell(
                f"(The engine of {_when(left.started)} ended by itself; log: {home / 'engine' / 'engine.log'})"
            )
    for place, engine in running:
        _tell_engine(place, engine, narrator)
    return 0


def logs(home: Path, function: str) -> int:
    """Becomes `sam logs` of one function."""
    return _become_sam(home, ["logs", "--stack-name", stack.STACK_NAME, "--name", logical_id(function)])


def invoke(home: Path, function: str, event: Path) -> int:
    """Becomes `sam remote invoke` of one function with one event file."""
    name = logical_id(function)
    return _become_sam(home, ["remote", "invoke", name, "--stack-name", stack.STACK_NAME, "--event-file", str(event)])


def logical_id(function: str) -> str:
    """``score_transactions``, as its folder is named, or its logical id: both mean ScoreTransactionsFunction."""
    if function[:1].isupper():
        return function
    return "".join(word.capitalize() for word in function.split("_")) + "Function"


def _become_sam(home: Path, arguments: list[str]) -> int:
    endpoint = _endpoint(places.current(home))
    sam = str(Path(sys.executable).parent / "sam")
    os.execve(sam, [sam, *arguments], stack.sam_environment(endpoint))  # noqa: S606 - our own arguments, no shell


def _endpoint(place: Place) -> str:
    engine = place.running()
    if engine is None:
        raise stack.StackError("The engine has just ended. `make up` starts it.")
    return engine.endpoint


def _tell_engine(place: Place, engine: RunningEngine, narrator: Narrator) -> None:
    minutes, seconds = divmod(int(time.time() - engine.started), 60)
    answers = "answers" if is_healthy(engine.endpoint) else "does not answer (see its log)"
    narrator.tell(f"{os.path.relpath(place.folder, PROJECT)}: {engine.endpoint} {answers}", "bold")
    narrator.tell(f"  pid {engine.pid}, up {minutes} min {seconds} s, log {place.engine_home / 'engine.log'}")
    try:
        narrator.tell(f"  stack {stack.STACK_NAME}: {stack.status(engine.endpoint) or 'not deployed'}")
        deployed = stack.describe(engine.endpoint)
    except (stack.StackError, ClientError, BotoCoreError) as error:
        narrator.tell(f"  {error}")
        return
    account = take_stock(deployed, 0)
    narrator.tell(f"  transactions: {account.rows} rows, {account.flagged} flagged")
    sqs = deployed.client("sqs")
    depths = sorted((name, stack.depth(sqs, url)) for name, url in deployed.queues().items())
    narrator.table("Queues", ("queue", "messages"), [(name, str(count)) for name, count in depths])


def _when(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(seconds))
