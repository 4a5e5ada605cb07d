"""Where an API's AWS address leads on this machine.

API Gateway gives every API a host name, ``{api}.execute-api.{region}.amazonaws.com``. Names below localhost do not
resolve everywhere, so the embedded AWS takes the API's id in the path instead.
"""

import re

_ADDRESS = re.compile(r"^(?:http|ws)s?://([a-z0-9]+)\.execute-api\.[a-z0-9.:-]+")


def local_execute_api_address(value: str, endpoint: str) -> str:
    """``value`` where it is no API's address, else the same API's at ``endpoint`` (``http://host:port``).

    https://{api}.execute-api.{region}.amazonaws.com/{stage} becomes {endpoint}/_aws/execute-api/{api}/{stage}, and
    wss:// becomes ws://.
    """
    here = endpoint.replace("http://", "ws://", 1) if value.startswith("ws") else endpoint
    return _ADDRESS.sub(rf"{here}/_aws/execute-api/\1", value)
