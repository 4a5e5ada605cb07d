"""``python -m local.publish_model <bucket>``: uploads the fraud model for ``FraudModel=sagemaker``.

Uses the AWS credentials of the environment, as the AWS CLI would. The key carries the artefact's hash: a new model is a
new address, and a deployment that names it replaces the endpoint's model.
"""

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from models.fraud.sagemaker import write_model_archive


def publish(bucket: str) -> str:
    """Uploads model.tar.gz to ``bucket`` and returns its s3:// address; raises what boto3 raises."""
    with tempfile.TemporaryDirectory() as folder:
        content = write_model_archive(Path(folder) / "model.tar.gz").read_bytes()
    key = f"fraud-model/{hashlib.sha256(content).hexdigest()[:12]}/model.tar.gz"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    return f"s3://{bucket}/{key}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.publish_model", description="Upload the fraud model.")
    parser.add_argument("bucket")
    try:
        address = publish(parser.parse_args().bucket)
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ The model was not uploaded: {error}\n")
        return 1
    sys.stdout.write(f"{address}\nDeploy with: FraudModel=sagemaker FraudModelDataUrl={address}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
