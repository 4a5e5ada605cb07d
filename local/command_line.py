"""The verbs of ``python -m local``, their arguments, and what an error looks like."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError

from local import commands, play, up
from local.lambda_runtime_folder import LambdaRuntimeError
from local.narration import Narrator
from local.process import EngineError
from local.stack import StackError
from local.transaction_flow import FlowError

type Verb = Callable[[argparse.Namespace, Narrator], int]


def main() -> int:
    """The verb's exit status. What can be foreseen to go wrong is one message, and no traceback."""
    arguments = _parser().parse_args()
    arguments.home = arguments.home.resolve()
    arguments.started = _command_started()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    narrator, verb = Narrator(), arguments.perform
    try:
        return int(verb(arguments, narrator))
    except (EngineError, StackError, FlowError, LambdaRuntimeError, BotoCoreError, ClientError) as error:
        narrator.complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The embedded AWS and the stack on it.")
    parser.add_argument("--home", type=Path, default=Path(".local"), help="where engines live (default: .local)")
    verbs = parser.add_subparsers(dest="verb", required=True)

    def add(name: str, does: str, perform: Verb) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=does)
        verb.set_defaults(perform=perform)
        return verb

    add("run", "play the flow, then stay up until Ctrl-C", lambda said, tell: play.run(said.home, said.started, tell))
    add("demo", "play the flow, write demo.json, stop", lambda said, tell: play.demo(said.home, said.started, tell))
    add("up", "start in the background, deploy what changed", lambda said, tell: up.up(said.home, tell))
    add("down", "end what up started", lambda said, tell: up.down(said.home, tell))
    add("status", "say what runs", lambda said, tell: commands.status(said.home, tell))
    logs = add("logs", "one function's log", lambda said, _: commands.logs(said.home, said.function))
    logs.add_argument("function")
    invoke = add("invoke", "invoke a function", lambda said, _: commands.invoke(said.home, said.function, said.event))
    invoke.add_argument("function")
    invoke.add_argument("event", type=Path)
    return parser


def _command_started() -> float:
    """When the command was given, in seconds since the epoch, as scripts/local.sh noted it (macOS' date has no %N)."""
    noted = os.environ.get("LOCAL_COMMAND_STARTED", "").removesuffix(".N")
    return float(noted) if noted else time.time()


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
