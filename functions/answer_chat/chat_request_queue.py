"""When a chat request comes again: SQS brings it back when its visibility timeout is over, which is set here.

The queue's own timeout (6 x the function's, as AWS advises) is for what nobody foresaw. A person who waits for an
answer is served sooner: while it is worked on, a request stays away as long as its function can run and no longer; one
that is given back comes again when that is of use.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError


@dataclass(frozen=True, slots=True)
class ChatRequestQueue:
    """The queue ``url`` behind ``client`` (boto3 "sqs")."""

    client: Any
    url: str
    log: Callable[..., None]

    def come_back(self, receipt_handle: str, seconds: int) -> None:
        """Has the request come again in ``seconds``; where that cannot be set it comes later, which is logged."""
        try:
            self.client.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except (ClientError, BotoCoreError) as failed:
            self.log("A chat request's visibility was not changed; it comes again later.", reason=str(failed))
