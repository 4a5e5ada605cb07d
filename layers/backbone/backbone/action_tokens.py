"""Task tokens of investigations that wait for a decision: sealed, one a case, gone once they were used.

Whoever holds a task token can let its execution go on with any outcome. So a token is kept encrypted and bound to its
case and step, and two functions share what can be done with it: request_action seals and keeps tokens but can neither
read nor open one, resume_investigation reads, opens and deletes them but can neither seal nor keep one.
https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html

No error and no row's text here names a token.
"""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Rejected, Retryable
from backbone.table_calls import Item, tried, written_if

# A token that is no good any more: its task was answered before, timed out, was tried again or is no task at all.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html
_STALE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
# Nobody can open what was sealed under another case, another step or another key, or was changed.
_UNOPENABLE = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as its row has it: whose it is, for which proposed action, and since when (``asked_at``, epoch ms).

    ``asked_at`` is when the attempt began that the token was made for: a later attempt has a later one.
    """

    case_id: str
    step: int
    action_id: str
    asked_at: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class TokenSeal:
    """The KMS key ``key_id`` (an ARN) behind ``client`` (boto3 "kms"); a token (2,048 characters) fits its 4 KB."""

    client: Any
    key_id: str

    def seal(self, case_id: str, step: int, token: str) -> bytes:
        """The encrypted token, which opens for the same case and step only. Raises Retryable."""
        answer = self._called(
            self.client.encrypt,
            KeyId=self.key_id,
            Plaintext=token.encode(),
            EncryptionContext=_context(case_id, step),
        )
        return bytes(answer["CiphertextBlob"])

    def open(self, token: SealedToken) -> str:
        """The token; raises Rejected where it was not sealed for its row, Retryable where KMS cannot now."""
        answer = self._called(
            self.client.decrypt,
            KeyId=self.key_id,
            CiphertextBlob=token.sealed,
            EncryptionContext=_context(token.case_id, token.step),
        )
        return bytes(answer["Plaintext"]).decode()

    def _called(self, operation: Any, **arguments: Any) -> Any:
        try:
            return operation(**arguments)
        except ClientError as failed:
            if failed.response["Error"]["Code"] in _UNOPENABLE:
                raise Rejected("a token was not sealed for the row that it lies in") from failed
            raise Retryable(f"{self.key_id}: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"{self.key_id}: {failed}") from failed


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The table ``table`` (caseId) behind ``client`` (boto3 "dynamodb"). Each method raises Retryable."""

    client: Any
    table: str

    def put(self, token: SealedToken, expires_at: int) -> bool:
        """Keeps a token until ``expires_at`` (epoch seconds), in the place of an earlier attempt's or step's.

        False, and nothing kept, where a later one's is there: an attempt that was given up may still be running.
        """
        item = {
            "caseId": {"S": token.case_id},
            "step": {"N": str(token.step)},
            "actionId": {"S": token.action_id},
            "askedAt": {"N": str(token.asked_at)},
            "token": {"B": token.sealed},
            "expiresAt": {"N": str(expires_at)},
        }
        return written_if(
            self.client.put_item,
            TableName=self.table,
            Item=item,
            ConditionExpression=(
                "attribute_not_exists(caseId) OR #step < :step OR (#step = :step AND askedAt <= :askedAt)"
            ),
            ExpressionAttributeNames={"#step": "step"},
            ExpressionAttributeValues={":step": item["step"], ":askedAt": item["askedAt"]},
        )

    def get(self, case_id: str) -> SealedToken | None:
        """The token that a case's execution waits with, as of now; None where it waits for nobody's decision."""
        key = {"caseId": {"S": case_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _token(answer["Item"]) if "Item" in answer else None

    def delete(self, token: SealedToken) -> None:
        """Forgets a token that was used, unless another is there by now."""
        written_if(
            self.client.delete_item,
            TableName=self.table,
            Key={"caseId": {"S": token.case_id}},
            ConditionExpression="#step = :step AND actionId = :action AND askedAt = :askedAt",
            ExpressionAttributeNames={"#step": "step"},
            ExpressionAttributeValues={
                ":step": {"N": str(token.step)},
                ":action": {"S": token.action_id},
                ":askedAt": {"N": str(token.asked_at)},
            },
        )


@dataclass(frozen=True, slots=True)
class WaitingExecutions:
    """Step Functions behind ``client`` (boto3 "stepfunctions")."""

    client: Any

    def resume(self, token: str, outcome: str) -> bool:
        """Lets the execution that waits with ``token`` go on with ``{"outcome": ...}``; False where none does any more.

        Raises Retryable, after which it may have gone on.
        """
        try:
            self.client.send_task_success(taskToken=token, output=json.dumps({"outcome": outcome}))
        except ClientError as failed:
            if failed.response["Error"]["Code"] in _STALE:
                return False
            raise Retryable(f"send_task_success: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"send_task_success: {failed}") from failed
        return True


def _context(case_id: str, step: int) -> dict[str, str]:
    return {"caseId": case_id, "step": str(step)}


def _token(item: Item) -> SealedToken:
    return SealedToken(
        case_id=item["caseId"]["S"],
        step=int(item["step"]["N"]),
        action_id=item["actionId"]["S"],
        asked_at=int(item["askedAt"]["N"]),
        sealed=bytes(item["token"]["B"]),
    )
