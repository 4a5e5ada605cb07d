"""The real SAM CLI against the deployed stack: what the README tells people to type."""

import json

from local.process import EngineProcess
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, a_transaction, sam


def test_sam_validates_the_template_with_lint(engine: EngineProcess) -> None:
    assert "is a valid SAM Template" in sam(engine, "validate", "--lint")


def test_sam_lists_the_outputs_of_the_stack(engine: EngineProcess, stack: Stack) -> None:
    listed = json.loads(sam(engine, "list", "stack-outputs", "--stack-name", stack.name, "--output", "json"))
    assert {output["OutputKey"]: output["OutputValue"] for output in listed} == stack.outputs


def test_sam_logs_shows_what_a_function_logged(engine: EngineProcess, stack: Stack) -> None:
    stack.put(transaction := a_transaction())
    stack.row(transaction.transaction_id)
    group = stack.resource("ScoreTransactionsLogGroup")
    assert wait_until(
        lambda: "platform.report" in sam(engine, "logs", "--cw-log-group", group, "--stack-name", stack.name),
        30,
        "a report line in the function's log",
    )


def test_sam_remote_invoke_answers_with_the_functions_response(engine: EngineProcess, stack: Stack) -> None:
    event = "events/score_transactions/good.json"
    printed = sam(
        engine, "remote", "invoke", "ScoreTransactionsFunction", "--stack-name", stack.name, "--event-file", event
    )
    assert '{"batchItemFailures": []}' in printed


def test_sam_deploys_nothing_where_nothing_changed(engine: EngineProcess, stack: Stack) -> None:
    parameters = ["--parameter-overrides", f"AwsEndpointUrl={engine.endpoint}", "TransactionShards=4"]
    printed = sam(engine, "deploy", "--config-env", "local", "--stack-name", stack.name, *parameters)
    assert "No changes to deploy" in printed
