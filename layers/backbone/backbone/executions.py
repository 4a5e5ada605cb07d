"""Starting a state machine, once for each name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable


@dataclass(frozen=True, slots=True)
class Executions:
    """The executions of ``state_machine`` (ARN) behind ``client`` (boto3 "stepfunctions")."""

    client: Any
    state_machine: str

    def start(self, name: str, given: Mapping[str, Any]) -> bool:
        """Starts the execution ``name`` on ``given``, once; False where one of that name has ended, or was given other.

        True, and nothing new, where one of that name is at work on the same ``given``: Step Functions does not tell
        that from a start. A name is taken for 90 days after its execution has ended. Raises Retryable.
        """
        try:
            self.client.start_execution(stateMachineArn=self.state_machine, name=name, input=json.dumps(given))
        except ClientError as failed:
            if failed.response["Error"]["Code"] == "ExecutionAlreadyExists":
                return False
            raise Retryable(f"start_execution {name}: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"start_execution {name}: {failed}") from failed
        return True
