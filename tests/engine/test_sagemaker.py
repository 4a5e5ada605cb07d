"""A serverless SageMaker endpoint over a real XGBoost model, through CloudFormation and unmodified boto3."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from botocore.exceptions import ClientError
from ministack import app

from local.overlay import sagemaker_hosting
from local.sagemaker_container import load_model
from tests.engine.callers import a_user
from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template, update

BUCKET = "sagemaker-models"
ROWS = np.array([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]], dtype=np.float32)
CSV = "\n".join(",".join(map(str, row)) for row in ROWS.tolist())


def a_model(seed: int = 0) -> xgboost.Booster:
    features = np.random.default_rng(seed).random((200, 2), dtype=np.float32)
    labels = (features[:, 0] > features[:, 1]).astype(int)
    return xgboost.train({"objective": "binary:logistic", "seed": seed}, xgboost.DMatrix(features, labels), 5 + seed)


def artefact_of(model: xgboost.Booster | bytes) -> bytes:
    content = bytes(model.save_raw("json")) if isinstance(model, xgboost.Booster) else model
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="module", autouse=True)
def bucket(aws: Client) -> Iterator[str]:
    s3 = aws("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=BUCKET, Key="first.tar.gz", Body=artefact_of(a_model()))
    s3.put_object(Bucket=BUCKET, Key="second.tar.gz", Body=artefact_of(a_model(seed=7)))
    s3.put_object(Bucket=BUCKET, Key="corrupt.tar.gz", Body=artefact_of(b"not a model"))
    yield BUCKET
    for key in ("first.tar.gz", "second.tar.gz", "corrupt.tar.gz"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    s3.delete_bucket(Bucket=BUCKET)


def an_endpoint(artefact: str = "first.tar.gz", *, readable: str = "*", memory: int = 1024) -> dict[str, Any]:
    grant = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/{readable}"}
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InitialVariantWeight": 1,
        "ServerlessConfig": {"MemorySizeInMB": memory, "MaxConcurrency": 5},
    }
    return template(
        {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                    "Policies": [
                        {"PolicyName": "read", "PolicyDocument": {"Version": "2012-10-17", "Statement": [grant]}}
                    ],
                },
            },
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "PrimaryContainer": {
                        "Image": "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5",
                        "ModelDataUrl": f"s3://{BUCKET}/{artefact}",
                    },
                },
            },
            "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
            },
        },
        {
            "Model": {"Ref": "Model"},
            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
            "Config": {"Ref": "Config"},
            "ConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            "Endpoint": {"Ref": "Endpoint"},
            "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
        },
    )


@pytest.fixture(scope="module")
def endpoint(aws: Client) -> Iterator[dict[str, str]]:
    with deployed(aws, an_endpoint(readable="first*")) as stack:
        yield outputs_of(aws, stack)


def scores(aws: Client, name: str) -> list[float]:
    answer = aws("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=CSV, ContentType="text/csv")
    return [float(line) for line in answer["Body"].read().split()]


def expected(seed: int = 0) -> list[float]:
    return [float(score) for score in a_model(seed).predict(xgboost.DMatrix(ROWS))]


def test_endpoint_answers_csv_with_the_scores_of_the_model_itself(aws: Client, endpoint: dict[str, str]) -> None:
    answer = aws("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint["EndpointName"], Body=CSV, ContentType="text/csv"
    )
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert [float(line) for line in answer["Body"].read().split()] == pytest.approx(expected(), abs=1e-6)


def test_endpoint_answers_json_when_the_caller_accepts_json(aws: Client, endpoint: dict[str, str]) -> None:
    answer = aws("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint["EndpointName"], Body=CSV, ContentType="text/csv", Accept="application/json"
    )
    assert answer["ContentType"] == "application/json"
    predictions = json.loads(answer["Body"].read())["predictions"]
    assert [prediction["score"] for prediction in predictions] == pytest.approx(expected(), abs=1e-6)


def test_warm_endpoint_answers_within_a_tenth_of_a_second(aws: Client, endpoint: dict[str, str]) -> None:
    runtime, name = aws("sagemaker-runtime"), endpoint["EndpointName"]
    runtime.invoke_endpoint(EndpointName=name, Body=CSV, ContentType="text/csv")
    begun = time.monotonic()
    for _ in range(10):
        runtime.invoke_endpoint(EndpointName=name, Body=CSV, ContentType="text/csv")
    assert (time.monotonic() - begun) / 10 < 0.1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"Body": CSV, "ContentType": "application/json"}, 415),
        ({"Body": "1,2\n3", "ContentType": "text/csv"}, 415),
        ({"Body": "1,2,3", "ContentType": "text/csv"}, 400),
        ({"Body": CSV, "ContentType": "text/csv", "Accept": "image/png"}, 406),
    ],
)
def test_refusal_of_the_container_is_a_model_error_with_its_status(
    aws: Client, endpoint: dict[str, str], request_: dict[str, str], status: int
) -> None:
    runtime = aws("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ModelError) as raised:
        runtime.invoke_endpoint(EndpointName=endpoint["EndpointName"], **request_)
    assert raised.value.response["OriginalStatusCode"] == status
    assert f"Received client error ({status}) from primary" in raised.value.response["Error"]["Message"]


def test_unknown_endpoint_is_a_validation_error(aws: Client) -> None:
    runtime = aws("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint nowhere of account 000000000000 not found"):
        runtime.invoke_endpoint(EndpointName="nowhere", Body=CSV)


def test_caller_without_a_grant_on_the_endpoint_is_denied(aws: Client, endpoint: dict[str, str]) -> None:
    grant = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": endpoint["Endpoint"]}
    with a_user(aws, grant | {"Resource": "arn:aws:sagemaker:*:*:endpoint/other"}) as client:
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint") as raised:
            client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint["EndpointName"], Body=CSV)
        assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    with a_user(aws, grant) as client:
        assert scores(client, endpoint["EndpointName"]) == pytest.approx(expected(), abs=1e-6)


def test_endpoint_and_its_parts_are_described(aws: Client, endpoint: dict[str, str]) -> None:
    sagemaker = aws("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=endpoint["EndpointName"])
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointArn"] == endpoint["Endpoint"]
    assert described["EndpointConfigName"] == endpoint["ConfigName"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["ConfigName"])
    assert config["EndpointConfigArn"] == endpoint["Config"]
    (variant,) = config["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    assert model["ModelArn"] == endpoint["Model"]
    assert model["PrimaryContainer"]["ModelDataUrl"] == f"s3://{BUCKET}/first.tar.gz"
    assert [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]] == [endpoint["EndpointName"]]
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="nowhere")


def test_endpoint_serves_the_new_model_under_its_old_name_when_the_artefact_changes(aws: Client) -> None:
    with deployed(aws, an_endpoint()) as stack:
        before = outputs_of(aws, stack)
        assert update(aws, stack, an_endpoint("second.tar.gz")) == ("UPDATE_COMPLETE", "")
        after = outputs_of(aws, stack)
        assert after["EndpointName"] == before["EndpointName"]
        assert after["ModelName"] != before["ModelName"]
        assert scores(aws, after["EndpointName"]) == pytest.approx(expected(seed=7), abs=1e-6)
    assert before["EndpointName"] not in [
        found["EndpointName"] for found in aws("sagemaker").list_endpoints()["Endpoints"]
    ]


def test_endpoint_keeps_serving_the_old_model_when_the_new_one_does_not_load(aws: Client) -> None:
    with deployed(aws, an_endpoint()) as stack:
        status, reason = update(aws, stack, an_endpoint("corrupt.tar.gz"))
        assert status == "UPDATE_ROLLBACK_COMPLETE"
        assert "Unable to load model" in reason
        assert scores(aws, outputs_of(aws, stack)["EndpointName"]) == pytest.approx(expected(), abs=1e-6)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (an_endpoint("missing.tar.gz"), f"Could not find model data at s3://{BUCKET}/missing.tar.gz"),
        (an_endpoint("corrupt.tar.gz"), "Unable to load model"),
        (an_endpoint(readable="other/*"), "not authorized to perform: s3:GetObject"),
        (an_endpoint(memory=1500), "MemorySizeInMB is 1024 to 6144 in steps of 1024"),
    ],
    ids=["artefact missing", "artefact corrupt", "role cannot read it", "memory not offered"],
)
def test_stack_fails_with_the_reason_when_aws_would_not_serve_it(
    aws: Client, body: dict[str, Any], reason: str
) -> None:
    status, why = create(aws, "bad-endpoint", body)
    delete(aws, "bad-endpoint")
    assert status == "ROLLBACK_COMPLETE"
    assert reason in why


def test_model_is_refused_with_what_to_install_when_xgboost_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sagemaker_hosting, "find_spec", lambda _name: None)
    with pytest.raises(sagemaker_hosting.HostingError, match="make sagemaker"):
        sagemaker_hosting.require_framework()


def test_container_ends_when_its_starter_is_gone(tmp_path: Path) -> None:
    container = sagemaker_hosting.start_container(artefact_of(a_model()), tmp_path, Path(__file__).parents[2])
    assert container.process.stdin
    container.process.stdin.close()
    assert container.process.wait(5) == 0
    container.stop()


def test_container_refuses_an_artefact_of_two_files(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("one", "two"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(Exception, match="one model file, it holds: one, two"):
        load_model(path)


def test_engine_still_lacks_sagemaker() -> None:
    assert "sagemaker" not in app.SERVICE_HANDLERS
