"""`make up`: the stack on an embedded AWS that stays. Run again, it builds and deploys what changed."""

import os
import time
from pathlib import Path

from local import places
from local.background import in_background
from local.lambda_runtime_folder import ensure_lambda_runtime
from local.narration import Narrator
from local.places import Place, RunningEngine
from local.process import DEFAULT_PORT, PROJECT, EngineProcess, free_port, is_healthy
from local.stack import REGION, Stack, build, deploy, write_environment, write_outputs
from local.traffic import backfill, backfill_cards
from local.transaction_flow import CUSTOMERS, make_plan

_OTHER_STARTER_SECONDS = 60.0


def up(home: Path, narrator: Narrator) -> int:
    """Starts what is not running, builds and deploys what changed, and says how to reach it."""
    place = places.lasting(home)
    built = in_background(lambda: build(home / "build.log"))
    engine = _engine(place, narrator)
    with narrator.step("Building the functions and their layer (sam build)", "Built (sam build)"):
        built.result()
    with narrator.step("Deploying template.yaml (sam deploy)", "Deployed (sam deploy)"):
        stack = deploy(engine.endpoint, home / "deploy.log")
    _backfill_once(place, engine, stack, narrator)
    write_environment(place.environment_file, engine.endpoint)
    write_outputs(place.outputs_file, stack)
    relative = os.path.relpath(place.environment_file, PROJECT)
    narrator.tell(f"The stack is up at {engine.endpoint}. Point any AWS tool at it:  . {relative}")
    narrator.tell("`make status` says what runs, `make down` ends it.")
    return 0


def _engine(place: Place, narrator: Narrator) -> RunningEngine:
    """The engine of ``place``: the one that runs, or a new one. One that hangs is replaced."""
    deadline = time.monotonic() + _OTHER_STARTER_SECONDS
    while (lock := place.claim()) is None:
        running = place.running()
        if running and is_healthy(running.endpoint):
            return running
        if time.monotonic() > deadline:
            narrator.tell("The engine that runs here does not answer: starting it anew.")
            place.stop()
        time.sleep(0.2)
    try:
        return _start(place, lock, narrator)
    finally:
        os.close(lock)


def _start(place: Place, lock: int, narrator: Narrator) -> RunningEngine:
    port = free_port(DEFAULT_PORT)
    if port != DEFAULT_PORT:
        narrator.tell(f"Port {DEFAULT_PORT} is taken by another program: using {port}.")
    with narrator.step("Starting the embedded AWS", "The embedded AWS answers"):
        ensure_lambda_runtime(PROJECT)
        process = EngineProcess.spawn(home=place.engine_home, region=REGION, port=port, owned=False, inherited=[lock])
        engine = RunningEngine(process.process.pid, port, time.time())
        place.record(engine)
        process.await_health()
    return engine


def _backfill_once(place: Place, engine: RunningEngine, stack: Stack, narrator: Narrator) -> None:
    """Loads a made-up past, so that what is streamed next is judged sensibly; once, for profiles move on."""
    table = stack.outputs["ProfilesTableName"]
    if engine.backfilled == table:
        return
    with narrator.step("Making up a bank's past, and loading it into the feature store", "The past is loaded"):
        history = make_plan(time.time()).traffic.history
        backfill(stack.client("dynamodb"), table, history, time.time())
        backfill_cards(stack.client("dynamodb"), stack.outputs["CardsTableName"], CUSTOMERS)
    place.record(RunningEngine(engine.pid, engine.port, engine.started, table))


def down(home: Path, narrator: Narrator) -> int:
    """Ends what `make up` started; says so where nothing ran."""
    place = places.lasting(home)
    recorded = place.recorded()
    with narrator.step("Stopping the embedded AWS", "Nothing is running"):
        stopped = place.stop()
    if stopped is None and recorded is not None:
        narrator.tell(f"The engine had ended by itself. Its log: {place.engine_home / 'engine.log'}")
    return 0
