"""`make run` and `make demo`: a stack of their own, the flows played on it, and what came of them told.

Both start from nothing and leave nothing: the engine lives in a folder below .local/ that is removed at the end.
"""

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local import places
from local.background import in_background
from local.bus_queue import bus_queue
from local.chat_flow import Conversation
from local.chat_narration import chat_report, tell_chat
from local.document_flow import DocumentJourney, made_up_customer
from local.document_narration import documents_report, tell_documents
from local.investigation_flow import EVENTS, Investigations, Suspect
from local.investigation_narration import investigations_report, tell_investigations
from local.lambda_runtime_folder import ensure_lambda_runtime
from local.narration import Narrator
from local.places import Place, RunningEngine
from local.process import DEFAULT_PORT, PROJECT, EngineError, EngineProcess, free_port
from local.stack import REGION, STACK_NAME, Stack, build, deploy, write_environment, write_outputs
from local.traffic import backfill, backfill_cards, backfill_flags
from local.transaction_flow import (
    CUSTOMERS,
    FLAGGED,
    HOPS,
    NOTIFIED,
    Account,
    Journey,
    Plan,
    Sighting,
    Watch,
    make_plan,
    settle,
    take_stock,
    watching,
)
from transaction import Transaction

_TRICKLED_TRANSACTIONS = 1200  # two days of this world: much more, and the first would be too old to be accepted
_TRICKLED_PER_SECOND = 1.0


@dataclass(frozen=True)
class Scene:
    """All that a play needs: the deployed stack, what to stream, and seconds from the command's start to here."""

    place: Place
    stack: Stack
    plan: Plan
    ready_seconds: float


@dataclass(frozen=True)
class Play:
    """What a play showed. ``problems`` is empty where everything that must happen did, and nothing else."""

    journeys: list[Journey]
    account: Account
    problems: list[str]
    first_flagged_seconds: float | None
    documents: Sequence[DocumentJourney] = ()
    document_problems: Sequence[str] = ()
    chat: Conversation | None = None
    investigations: Investigations | None = None

    @property
    def main(self) -> Journey:
        """The journey that the report tells of: the first that goes all the way to the customer."""
        return next(journey for journey in self.journeys if journey.expected == HOPS)


def demo(home: Path, started: float, narrator: Narrator) -> int:
    """Plays the flow once and writes ``home``/demo.json; 1 where something that must happen did not."""
    with (
        _scene("demo", home, started, narrator, trickled=0) as scene,
        bus_queue(scene.stack, EVENTS) as agents,
        watching(scene.stack, scene.plan.verdicts) as watch,
    ):
        play = _play_all(scene, watch, agents, started, narrator)
    report = home / "demo.json"
    report.write_text(json.dumps(_report(play, started, scene.ready_seconds), indent=2) + "\n")
    narrator.tell(f"Written: {report}")
    return _verdict(play, narrator)


def run(home: Path, started: float, narrator: Narrator) -> int:
    """Plays the flow, then stays up and streams a trickle until Ctrl-C; without a terminal it ends after the play."""
    stays = sys.stdout.isatty()  # not the console's word: FORCE_COLOR makes that one see a terminal in a pipe
    trickled = _TRICKLED_TRANSACTIONS if stays else 0
    with (
        _scene("run", home, started, narrator, trickled) as scene,
        bus_queue(scene.stack, EVENTS) as agents,
        watching(scene.stack, scene.plan.verdicts) as watch,
    ):
        result = _verdict(_play_all(scene, watch, agents, started, narrator), narrator)
        if stays:
            _stay(scene, watch, narrator)
    return result


@contextmanager
def _scene(kind: str, home: Path, started: float, narrator: Narrator, trickled: int) -> Iterator[Scene]:
    """A deployed stack with a past, gone at the end. What needs no engine is done while that starts."""
    built = in_background(lambda: build(home / "build.log"))
    planned = in_background(lambda: make_plan(time.time(), trickled))
    with _own_engine(kind, home, narrator) as (place, endpoint):
        with narrator.step("Building the functions and their layer (sam build)", "Built (sam build)"):
            built.result()
        with narrator.step("Deploying template.yaml (sam deploy)", "Deployed (sam deploy)"):
            stack = deploy(endpoint, home / "deploy.log")
        ready = time.time() - started
        write_environment(place.environment_file, endpoint)
        write_outputs(place.outputs_file, stack)
        with narrator.step("Making up a bank's past, and loading it into the feature store", "The past is loaded"):
            plan = planned.result()
            profiles = stack.outputs["ProfilesTableName"]
            backfill(stack.client("dynamodb"), profiles, plan.traffic.history, time.time())
            backfill_cards(stack.client("dynamodb"), stack.outputs["CardsTableName"], CUSTOMERS)
            backfill_flags(stack.client("dynamodb"), stack.outputs["TransactionsTableName"], plan.traffic)
        narrator.tell(f"  fraud model: embedded, version {plan.model_version} (template parameter FraudModel)")
        yield Scene(place, stack, plan, ready)


@contextmanager
def _own_engine(kind: str, home: Path, narrator: Narrator) -> Iterator[tuple[Place, str]]:
    """An engine in a place of its own; both are gone at the end, whatever the end is."""
    place = places.passing(kind, home)
    lock = place.claim()
    if lock is None:
        raise EngineError(f"Another command took {place.folder}. Try again.")
    try:
        with narrator.step("Starting the embedded AWS", "The embedded AWS answers"):
            ensure_lambda_runtime(PROJECT)
            port = free_port(DEFAULT_PORT)
            engine = EngineProcess.spawn(home=place.engine_home, region=REGION, port=port, inherited=[lock])
            place.record(RunningEngine(engine.process.pid, port, time.time()))
            engine.await_health()
        with engine:
            yield place, engine.endpoint
    except Exception:
        _keep_log(place, narrator)
        raise
    finally:
        os.close(lock)
        with narrator.step("Stopping", "Stopped, nothing is left running"):
            shutil.rmtree(place.folder, ignore_errors=True)


def _keep_log(place: Place, narrator: Narrator) -> None:
    """Saves the engine's log from a place that is about to go."""
    log, kept = place.engine_home / "engine.log", place.folder.parent / "failed-engine.log"
    if log.exists():
        shutil.copy(log, kept)
        narrator.tell(f"The engine's log is kept: {kept}")


def _play_all(scene: Scene, watch: Watch, agents: str, started: float, narrator: Narrator) -> Play:
    """Every flow, one after the other, so that each one's times are its own.

    ``agents`` is the queue with what the bus carried of the investigations, which begin with the first flag.
    """
    play = _play(scene, watch, started, narrator)
    investigations = tell_investigations(scene.stack, _suspects(play, scene.plan), agents, narrator)
    transaction = _customers_payment(play, investigations)
    token = made_up_customer(scene.stack, transaction.customer_id)
    documents = tell_documents(scene.stack, token, transaction.customer_id, narrator)
    chat = tell_chat(scene.stack, token, transaction.customer_id, transaction.card_id, narrator)
    problems = [journey.problem for journey in documents if journey.problem]
    account = take_stock(scene.stack, watch.put)  # once more: what is dead now may have died of the later flows
    if problems or chat.problems or investigations.problems or account.dead_letters:
        _keep_log(scene.place, narrator)
    return replace(
        play,
        account=account,
        documents=documents,
        document_problems=problems,
        chat=chat,
        investigations=investigations,
    )


def _customers_payment(play: Play, investigations: Investigations) -> Transaction:
    """The payment whose customer uploads and chats: a flagged one after which the card was not blocked."""
    spared = {one.suspect.transaction_id for one in investigations.played if one.ending != "approval"}
    journeys = [one for one in play.journeys if one.transaction.transaction_id in spared]
    return (journeys[0] if journeys else play.main).transaction


def _suspects(play: Play, plan: Plan) -> list[Suspect]:
    """The flagged payments that agents investigate, with the truth about each."""
    return [
        Suspect(
            one.transaction.transaction_id,
            one.events[FLAGGED]["detail"]["metadata"]["eventId"],
            plan.frauds[one.transaction.transaction_id],
        )
        for one in play.journeys
        if one.expected == HOPS and FLAGGED in one.events
    ]


def _play(scene: Scene, watch: Watch, started: float, narrator: Narrator) -> Play:
    plan = scene.plan
    flagged = sum(plan.verdicts[one.transaction_id].flagged for one in plan.played)
    narrator.tell()
    narrator.tell(f"Streaming {len(plan.played)} card transactions; {flagged} of them must be flagged.", "bold")
    timeline = _Timeline(narrator, started)
    watch.stream(plan.played, timeline.show)
    narrator.tell(f"{timeline.now():8.3f} s  {len(plan.played)} transactions are on the stream", "dim")
    lacking = watch.await_all(timeline.show)
    account = settle(scene.stack, watch.put)
    narrator.tell()
    _tell_hops(watch.journeys(), narrator)
    problems = _problems(lacking, watch, account, flagged)
    if problems:
        _keep_log(scene.place, narrator)
    return Play(watch.journeys(), account, problems, timeline.first_flagged_seconds)


class _Timeline:
    """One line an event: seconds since the first transaction was put, and milliseconds since the hop before."""

    def __init__(self, narrator: Narrator, command_started: float) -> None:
        self.first_flagged_seconds: float | None = None
        self._narrator = narrator
        self._command_started = command_started
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began

    def show(self, sighting: Sighting) -> None:
        journey, at = sighting.journey, sighting.at
        if sighting.hop == FLAGGED and self.first_flagged_seconds is None:
            self.first_flagged_seconds = time.time() - self._command_started
        style = {FLAGGED: "yellow", NOTIFIED: "green"}.get(sighting.hop, "")
        self._narrator.event(at - self._began, at - journey.before(sighting.hop), sighting.hop, _about(sighting), style)


def _about(sighting: Sighting) -> str:
    transaction, journey = sighting.journey.transaction, sighting.journey
    about = f"{transaction.transaction_id}  {transaction.card_id}"
    if sighting.hop != FLAGGED or FLAGGED not in journey.events:
        return about
    data = journey.events[FLAGGED]["detail"]["data"]
    amount = f"{data['amountMinor'] / 100:.2f} {data['currency']}"
    codes = ", ".join(reason["code"] for reason in data["reasons"])
    return f"{about}  {amount}  score {data['score']:.3f}  {data['severity']}: {codes}"


def _tell_hops(journeys: list[Journey], narrator: Narrator) -> None:
    """The table of hops: milliseconds since the transaction was put, and since the hop before."""
    rows = []
    for hop in HOPS:
        seen = [journey for journey in journeys if hop in journey.seen]
        if not seen:
            continue
        totals = [(journey.seen[hop] - journey.put_at) * 1000 for journey in seen]
        since = [(journey.seen[hop] - journey.before(hop)) * 1000 for journey in seen]
        rows.append(
            (
                hop,
                str(len(seen)),
                f"{totals[0]:.0f}",
                f"{statistics.median(totals):.0f}",
                f"{statistics.median(since):.0f}",
            )
        )
    header = ("hop", "seen", "first (cold)", "median", "median since the hop before")
    narrator.table("Flagged transactions: milliseconds since they were put", header, rows)


def _problems(lacking: list[Journey], watch: Watch, account: Account, flagged: int) -> list[str]:
    problems = [
        f"{journey.transaction.transaction_id}: {', '.join(journey.missing)} did not come" for journey in lacking
    ]
    problems += [
        f"{event['detail-type']} about {event['detail']['data'].get('transactionId')} was not expected"
        for event in watch.unexpected
    ]
    if account.flagged != flagged:
        problems.append(f"{account.flagged} rows are flagged, {flagged} must be")
    if account.lost:
        problems.append(f"{account.lost} of {account.put} transactions are neither a row nor in the quarantine")
    return problems


def _verdict(play: Play, narrator: Narrator) -> int:
    account = play.account
    narrator.tell(
        f"{account.put} transactions put: {account.rows} rows, {account.quarantined} in quarantine, "
        f"{account.lost} lost; {account.flagged} flagged; {account.dead_letters} dead letters."
    )
    if play.first_flagged_seconds is not None:
        narrator.tell(f"First flagged transaction {play.first_flagged_seconds:.1f} s after the command.")
    problems = [*play.problems, *play.document_problems, *(play.chat.problems if play.chat else ())]
    problems += play.investigations.problems if play.investigations else ()
    if account.dead_letters:
        problems.append(f"{account.dead_letters} messages are in dead-letter queues")
    for problem in problems:
        narrator.complain(problem)
    return 1 if problems else 0


def _report(play: Play, started: float, ready_seconds: float) -> dict[str, Any]:
    """What design section 10 says."""
    flows = [_flow(play.main, ok=not play.problems)]
    flows += [documents_report(play.documents, ok=not play.document_problems)] if play.documents else []
    flows += [chat_report(play.chat, ok=not play.chat.problems)] if play.chat else []
    if play.investigations:
        flows.append(investigations_report(play.investigations, ok=not play.investigations.problems))
    return {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="milliseconds"),
        "ready_s": round(ready_seconds, 3),
        "flows": flows,
        "lost": play.account.lost,
        "dead_letters": play.account.dead_letters,
    }


def _flow(journey: Journey, *, ok: bool) -> dict[str, Any]:
    def milliseconds(at: float) -> int:
        return round((at - journey.put_at) * 1000)

    data = journey.events[FLAGGED]["detail"]["data"] if FLAGGED in journey.events else {}
    metadata = journey.events[FLAGGED]["detail"]["metadata"] if FLAGGED in journey.events else {}
    return {
        "name": "transaction",
        "ok": ok,
        "correlation_id": metadata.get("correlationId"),
        "total_ms": milliseconds(max([journey.put_at, *journey.seen.values()])),
        "events": [
            {"detail_type": kind, "source": envelope["source"], "at_ms": milliseconds(journey.seen[kind])}
            for kind, envelope in journey.events.items()
        ],
        "result": {
            "transaction_id": journey.transaction.transaction_id,
            "card": journey.transaction.card_id,
            "amount_minor": journey.transaction.amount_minor,
            "currency": journey.transaction.currency,
            "score": data.get("score"),
            "severity": data.get("severity"),
            "reasons": data.get("reasons"),
            "drivers": data.get("drivers"),
            "model_version": data.get("modelVersion"),
            "hops_ms": {hop: milliseconds(at) for hop, at in journey.seen.items()},
            "missing": journey.missing,
        },
    }


def _stay(scene: Scene, watch: Watch, narrator: Narrator) -> None:
    """Streams a trickle until Ctrl-C, and tells what is flagged."""
    source = f". {os.path.relpath(scene.place.environment_file, PROJECT)}"
    narrator.tell()
    narrator.tell(
        f"The stack stays up at {scene.stack.endpoint} until Ctrl-C. Look around from another terminal:", "bold"
    )
    narrator.tell("  make status")
    narrator.tell("  make logs FUNCTION=score_transactions")
    narrator.tell("  make cases; make case ID=...; make approve ID=...; make pause-agents")
    narrator.tell(f"  ({source} && .venv/bin/sam list stack-outputs --stack-name {STACK_NAME})")
    narrator.tell("A trickle of transactions goes on; what is flagged shows here.")
    timeline = _Timeline(narrator, time.time())
    try:
        watch.stream(scene.plan.trickled, timeline.show, 1, _TRICKLED_PER_SECOND)
        narrator.tell("The made-up world has come to its present: nothing is streamed any more. Ctrl-C ends.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        narrator.tell()
