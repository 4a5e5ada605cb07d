"""Calls of DynamoDB: what fails is for the caller to try again, and an item's texts read plainly."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable

type Item = Mapping[str, Mapping[str, Any]]


def tried(operation: Callable[..., Any], **arguments: Any) -> Any:
    """The answer of a boto3 DynamoDB method; raises Retryable where there is none."""
    try:
        return operation(**arguments)
    except (ClientError, BotoCoreError) as failed:
        raise Retryable(f"{arguments.get('TableName', 'DynamoDB')}: {failed}") from failed


def written_if(operation: Callable[..., Any], **arguments: Any) -> bool:
    """Whether a conditional write was made; False where its condition did not hold. Raises Retryable otherwise."""
    try:
        operation(**arguments)
    except ClientError as failed:
        if failed.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise Retryable(f"{arguments['TableName']}: {failed}") from failed
    except BotoCoreError as failed:
        raise Retryable(f"{arguments['TableName']}: {failed}") from failed
    return True


def forget_event(client: Any, table: str, key: Item, event_to_publish: str | None) -> None:
    """Removes an event that the bus has from its row, unless the row keeps another by now. Raises Retryable."""
    written_if(
        client.update_item,
        TableName=table,
        Key=key,
        UpdateExpression="REMOVE eventToPublish",
        ConditionExpression="eventToPublish = :published",
        ExpressionAttributeValues={":published": {"S": event_to_publish}},
    )


def pages(client: Any, at_most: int | None, **query: Any) -> Iterator[tuple[list[Item], bool]]:
    """The pages of a query, at most so many (None: all), each with whether more follow it. Raises Retryable."""
    start: dict[str, Any] = {}
    for _ in itertools.count() if at_most is None else range(at_most):
        answer = tried(client.query, **query, **start)
        last = answer.get("LastEvaluatedKey")
        yield answer["Items"], last is not None
        if last is None:
            return
        start = {"ExclusiveStartKey": last}


def item_of(values: Mapping[str, str | int | None]) -> dict[str, dict[str, str]]:
    """An item of texts and whole numbers; what is None is left out."""
    return {
        name: {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in values.items()
        if value is not None
    }


def number_of(item: Item, name: str) -> int:
    """A whole number; 0 where the item has none of that name."""
    return int(item[name]["N"]) if name in item else 0


def text_of(item: Item, name: str) -> str | None:
    """A text attribute, or None where the item has none of that name."""
    return item[name]["S"] if name in item else None
