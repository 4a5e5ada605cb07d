"""The schema files, and documents that they describe."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.sam_template import PROJECT

SCHEMAS = PROJECT / "schemas"
RELEASED = Path(__file__).parent / "released"
SAMPLES = PROJECT / "events"


def schemas_in(folder: Path) -> dict[str, dict[str, Any]]:
    """Schemas by name, e.g. "backbone.payments/Transaction.v1"."""
    return {f"{path.parent.name}/{path.stem}": json.loads(path.read_text()) for path in sorted(folder.glob("*/*.json"))}


def event_schemas() -> dict[str, dict[str, Any]]:
    """Those that describe an event's detail; the others describe what comes from outside."""
    return {name: schema for name, schema in schemas_in(SCHEMAS).items() if "metadata" in schema["properties"]}


def sample_transactions(name: str) -> list[bytes]:
    """The data of each record in events/score_transactions/<name>.json."""
    event = json.loads((SAMPLES / "score_transactions" / f"{name}.json").read_text())
    return [base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]]


def sample_envelopes(name: str) -> list[str]:
    """The bodies of the messages in events/notify_customer/<name>.json."""
    event = json.loads((SAMPLES / "notify_customer" / f"{name}.json").read_text())
    return [record["body"] for record in event["Records"]]
