"""FraudModel=sagemaker: the same template and the same transactions, scored by the endpoint."""

from collections.abc import Iterator

import pytest

from fraud_model import FraudModel
from local.process import EngineProcess
from local.stack import DEPLOYMENT_BUCKET
from local.traffic import Traffic, backfill, expected_verdicts
from models.fraud.sagemaker import write_model_archive
from tests.engine.stacks import Client
from tests.stack.deployed import Stack, deploy, iam_decision, now
from tests.stack.observers import is_about, observe_bus

NAME = "backbone-sagemaker"


@pytest.fixture(scope="module")
def variant(
    stack: Stack, engine: EngineProcess, aws: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A second stack beside the first, in the same account, with its model on a serverless endpoint."""
    archive = tmp_path_factory.mktemp("model") / "model.tar.gz"
    write_model_archive(archive)
    aws("s3").put_object(Bucket=DEPLOYMENT_BUCKET, Key="fraud/model.tar.gz", Body=archive.read_bytes())
    address = f"s3://{DEPLOYMENT_BUCKET}/fraud/model.tar.gz"
    made = deploy(NAME, engine, aws, {"FraudModel": "sagemaker", "FraudModelDataUrl": address})
    assert made.outputs["TransactionsStreamName"] != stack.outputs["TransactionsStreamName"]
    yield made
    aws("cloudformation").delete_stack(StackName=NAME)
    aws("cloudformation").get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})


def test_endpoint_scores_the_stream_as_the_embedded_model_does(
    variant: Stack, traffic: Traffic, model: FraudModel
) -> None:
    dynamodb, profiles = variant.client("dynamodb"), variant.outputs["ProfilesTableName"]
    backfill(dynamodb, profiles, traffic.history, now())
    expected = expected_verdicts(traffic, model)
    flagged = [key for key, verdict in expected.items() if verdict.flagged]
    with observe_bus(variant) as bus:
        variant.put(*traffic.transactions)
        scores = {key: float(variant.row(key, 60)["score"]) for key in expected}
        for transaction_id in flagged:
            bus.wait_for(is_about("TransactionFlagged", transaction_id), f"TransactionFlagged for {transaction_id}")
    assert scores == pytest.approx({key: verdict.score for key, verdict in expected.items()}, abs=2e-6)


def test_role_may_ask_this_endpoint_and_no_other(variant: Stack) -> None:
    functions = variant.client("lambda")
    variables = functions.get_function_configuration(FunctionName=variant.resource("ScoreTransactionsFunction"))
    endpoint = variables["Environment"]["Variables"]["SAGEMAKER_ENDPOINT_NAME"]
    described = variant.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    endpoints = (described["EndpointArn"], described["EndpointArn"] + "-other")
    decisions = [
        iam_decision(variant, "ScoreTransactionsRole", "sagemaker:InvokeEndpoint", resource) for resource in endpoints
    ]
    assert decisions == ["allowed", "implicitDeny"]
