"""The answer of a WebSocket API's REQUEST authorizer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
"""

from typing import Any

from backbone.chat_people import ChatPerson, as_texts


def allow(person: ChatPerson, route_arn: str) -> dict[str, Any]:
    """Lets ``person`` use the one route ``route_arn`` ($connect), and tells that route's function who it is."""
    return {
        "principalId": person.person_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": route_arn}],
        },
        "context": as_texts(person),
    }
