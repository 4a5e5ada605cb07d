"""What people may do to themselves in a Cognito user pool: sign up, if the pool lets them, and change some attributes.

* A pool whose accounts are opened by administrators (AdminCreateUserConfig.AllowAdminCreateUserOnly) refuses SignUp:
  https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminCreateUserConfigType.html
* With an access token anybody may call UpdateUserAttributes. Cognito refuses attributes outside the client's
  WriteAttributes (where it names none: all standard ones and no custom one), and immutable ones:
  https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html (attribute permissions)

The engine lets everybody sign up and writes whatever comes, so that a customer could make themselves another.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import cognito

from local.overlay.authorization import Response
from local.overlay.engine_hooks import Engine, original, replace


def install(_engine: Engine) -> None:
    _keep_to_writable_attributes()
    _refuse_sign_up()


def _refuse_sign_up() -> None:
    sign_up = original(cognito, "_sign_up")

    def sign_up_if_permitted(data: dict[str, Any]) -> Response:
        pool = _pool_of_client(data.get("ClientId", ""))
        if pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"):
            return _error("NotAuthorizedException", "SignUp is not permitted for this user pool")
        answer: Response = sign_up(data)
        return answer

    replace(cognito, "_sign_up", sign_up_if_permitted)


def _pool_of_client(client_id: str) -> Mapping[str, Any]:
    pools: list[Mapping[str, Any]] = list(cognito._user_pools.values())
    return next((pool for pool in pools if client_id in pool["_clients"]), {})


def _keep_to_writable_attributes() -> None:
    update = original(cognito, "_update_user_attributes")

    def update_permitted(data: dict[str, Any]) -> Response:
        user, pool = cognito._user_pool_for_access_token(data.get("AccessToken", ""))
        names = [str(attribute["Name"]) for attribute in data.get("UserAttributes", [])]
        if user and (refusal := _refusal(pool, _client(pool, data["AccessToken"]), names)):
            return refusal
        answer: Response = update(data)
        return answer

    replace(cognito, "_update_user_attributes", update_permitted)


def _client(pool: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
    client: Mapping[str, Any] = pool["_clients"].get(cognito._token_claims(access_token).get("client_id"), {})
    return client


def _refusal(pool: Mapping[str, Any], client: Mapping[str, Any], names: list[str]) -> Response | None:
    writable = client.get("WriteAttributes") or []
    for name in names:
        if name not in writable and (writable or name.startswith("custom:")):
            return _error("NotAuthorizedException", "A client attempted to write unauthorized attribute")
    immutable = {one["Name"] for one in pool["SchemaAttributes"] if not one.get("Mutable", True)}
    for name in names:
        if name in immutable:
            return _error("InvalidParameterException", f"user.{name}: Attribute cannot be updated.")
    return None


def _error(code: str, message: str) -> Response:
    body = json.dumps({"__type": code, "message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}, body
