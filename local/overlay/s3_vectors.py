"""S3 Vectors as records: AWS::S3Vectors::VectorBucket and ::Index, and describing them.

The engine has nothing of it. Follows the CloudFormation pages of the two types and botocore's model of ``s3vectors``:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors.html. Names, numbers and metrics are checked as the API
checks them. No vector is ever kept here: what a knowledge base has in an index, the local one keeps in memory
(``knowledge_base_documents``), and putting or querying vectors oneself is answered with an error.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.session import Session
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.overlay.authorization import Response, refusal_of_caller
from local.overlay.cloudformation_requests import request_from
from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType, generated_name, register
from local.overlay.engine_hooks import Engine
from local.overlay.service_routes import ServiceError, add_service, refuse, understand

_LONGEST_NAME = 63
_SERVICE = Session().get_service_model("s3vectors")

_buckets = AccountRegionScopedDict()  # its ARN: its record, under the API's names
_indexes = AccountRegionScopedDict()


def install(_engine: Engine) -> None:
    add_service("s3vectors", _handle)
    for kind in (_BUCKET_TYPE, _INDEX_TYPE):
        register(kind)


# --- Describing


async def _handle(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> Response:
    try:
        call = understand(_SERVICE, method, path, query, body)
        if call.operation.name not in _DESCRIBING:
            raise ServiceError(
                "ValidationException", 400, f"The local S3 Vectors does not serve {call.operation.name}."
            )
        member, records, arn_of = _DESCRIBING[call.operation.name]
        arn = arn_of(call.parameters)
        refusal = refusal_of_caller(headers, query, f"s3vectors:{call.operation.name}", arn)
        if refusal:
            raise ServiceError("AccessDeniedException", 403, refusal)
        if arn not in records:
            raise ServiceError("NotFoundException", 404, f"There is no {arn}.")
        # Times are numbers in this service's answers.
        content = json.dumps({member: records[arn]}, default=datetime.timestamp).encode()
        return 200, {"Content-Type": "application/json"}, content
    except ServiceError as error:
        return refuse(error)


def _bucket_arn(named: Mapping[str, Any]) -> str:
    arn = named.get("vectorBucketArn")
    if arn:
        return str(arn)
    return f"arn:aws:s3vectors:{get_region()}:{get_account_id()}:bucket/{named.get('vectorBucketName')}"


def _index_arn(named: Mapping[str, Any]) -> str:
    return str(named.get("indexArn") or f"{_bucket_arn(named)}/index/{named.get('indexName')}")


type _ArnOf = Callable[[Mapping[str, Any]], str]
_DESCRIBING: dict[str, tuple[str, AccountRegionScopedDict, _ArnOf]] = {
    "GetVectorBucket": ("vectorBucket", _buckets, _bucket_arn),
    "GetIndex": ("index", _indexes, _index_arn),
}


# --- CloudFormation


def _create_bucket(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("VectorBucketName") or generated_name(stack_name, logical_id, _LONGEST_NAME).lower()
    request = _request("CreateVectorBucket", properties, vectorBucketName=name)
    arn = _bucket_arn(request)
    _keep(_buckets, arn, request | {"vectorBucketArn": arn})
    return _provisioned_bucket(arn)


def _delete_bucket(arn: str) -> None:
    if any(record["vectorBucketArn"] == arn for record in _indexes.values()):
        raise ValueError(f"The vector bucket {arn} has indexes; delete them first.")
    _buckets.pop(arn, None)


def _provisioned_bucket(arn: str) -> Provisioned:
    return Provisioned(arn, {"VectorBucketArn": arn, "CreationTime": _buckets[arn]["creationTime"].isoformat()})


def _create_index(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("IndexName") or generated_name(stack_name, logical_id, _LONGEST_NAME).lower()
    request = _request("CreateIndex", properties, indexName=name)
    bucket = _bucket_arn(request)
    if bucket not in _buckets:
        raise ValueError(f"There is no vector bucket {bucket}.")
    arn = f"{bucket}/index/{name}"
    _keep(
        _indexes,
        arn,
        request
        | {"indexArn": arn, "vectorBucketArn": bucket, "vectorBucketName": _buckets[bucket]["vectorBucketName"]},
    )
    return _provisioned_index(arn)


def _provisioned_index(arn: str) -> Provisioned:
    return Provisioned(arn, {"IndexArn": arn, "CreationTime": _indexes[arn]["creationTime"].isoformat()})


def _request(operation: str, properties: Properties, **named: str) -> dict[str, Any]:
    without_tags = {key: value for key, value in properties.items() if key != "Tags"}  # the API has them as a map
    return request_from(_SERVICE.operation_model(operation), without_tags, **named)


def _keep(records: AccountRegionScopedDict, arn: str, record: dict[str, Any]) -> None:
    if arn in records:
        raise ValueError(f"There is {arn} already.")
    records[arn] = record | {"creationTime": datetime.now(UTC)}


_BUCKET_TYPE = ResourceType(
    "AWS::S3Vectors::VectorBucket",
    _create_bucket,
    lambda arn, _properties: _provisioned_bucket(arn),  # only its tags can change
    _delete_bucket,
    ("VectorBucketName", "EncryptionConfiguration"),
    named_by="VectorBucketName",
)
_INDEX_TYPE = ResourceType(
    "AWS::S3Vectors::Index",
    _create_index,
    lambda arn, _properties: _provisioned_index(arn),
    lambda arn: _indexes.pop(arn, None),
    (
        "DataType",
        "Dimension",
        "DistanceMetric",
        "EncryptionConfiguration",
        "IndexName",
        "MetadataConfiguration",
        "VectorBucketArn",
        "VectorBucketName",
    ),
    named_by="IndexName",
)
