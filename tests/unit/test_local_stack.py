"""What the local commands know of addresses, names and failed builds, without an engine."""

from pathlib import Path

import pytest

from local.commands import logical_id
from local.stack import StackError, _sam, local_address, without_aws_settings

ENDPOINT = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("value", "here"),
    [
        (
            "https://a1b2.execute-api.eu-central-1.amazonaws.com/v1/transactions",
            f"{ENDPOINT}/_aws/execute-api/a1b2/v1/transactions",
        ),
        (
            "wss://a1b2.execute-api.eu-central-1.amazonaws.com/v1",
            "ws://127.0.0.1:4566/_aws/execute-api/a1b2/v1",
        ),
        ("https://sqs.eu-central-1.amazonaws.com/000000000000/q", f"{ENDPOINT}/000000000000/q"),
        ("http://localhost:9999/000000000000/q", f"{ENDPOINT}/000000000000/q"),
        (f"{ENDPOINT}/000000000000/q", f"{ENDPOINT}/000000000000/q"),
        ("backbone-events", "backbone-events"),
    ],
)
def test_local_address_replaces_host_names_of_aws(value: str, here: str) -> None:
    assert local_address(value, ENDPOINT) == here


@pytest.mark.parametrize("name", ["score_transactions", "ScoreTransactionsFunction"])
def test_logical_id_takes_a_folder_or_a_logical_id(name: str) -> None:
    assert logical_id(name) == "ScoreTransactionsFunction"


def test_sam_failure_names_the_log_and_shows_its_end(tmp_path: Path) -> None:
    log = tmp_path / "build.log"

    with pytest.raises(StackError, match="No such option") as failed:
        _sam(["build", "--no-such-option"], ENDPOINT, log)

    assert str(log) in str(failed.value)


def test_commands_never_see_the_developers_aws_account() -> None:
    kept = without_aws_settings({"AWS_PROFILE": "work", "AWS_SESSION_TOKEN": "secret", "PATH": "/bin"})

    assert kept["PATH"] == "/bin"
    assert "work" not in kept.values()
    assert "secret" not in kept.values()
    assert kept["AWS_CONFIG_FILE"] == kept["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
