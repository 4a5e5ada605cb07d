"""The embedded AWS as one process: MiniStack's control plane with our overlay around it.

``python -m local.engine --port 4566 --home .local/engine`` serves until SIGINT or SIGTERM. MiniStack reads its
settings from the environment while it is imported, so this module sets them first and imports it afterwards.
Everything the engine writes (workers' folders, logs) stays below ``--home``; nothing of the host's environment
beyond what is named in ``_INHERITED`` reaches it, so that a secret in the developer's shell cannot leak into a
function, and so that no function works here by luck of a variable that AWS would not have.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from local.lambda_runtime_folder import ensure_lambda_runtime

PINNED_ENGINE = "1.5.33"
PROJECT = Path(__file__).resolve().parent.parent
ACCOUNT_ID = "000000000000"
_INHERITED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("LOCAL_LAMBDA_PROCESSES", "LOCAL_LAMBDA_QUEUE_SECONDS", "LOCAL_LAMBDA_RETRY_SECONDS"),
    *("LOCAL_MODEL_PROFILE", "LOCAL_MODEL_SERVER_URL", "LOCAL_MODEL_NAME", "LOCAL_MODEL_SECONDS"),
    *("LOCAL_MODEL_FOLDER", "XDG_CACHE_HOME"),
)


def engine_environment(port: int, home: Path, region: str) -> dict[str, str]:
    """The whole environment of the engine's process.

    IAM is enforced (``AUTH``); Docker is pointed at a socket that does not exist, so that the engine never touches a
    container of the developer's; listeners that this project does not use stay closed.
    """
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": os.environ.get("LOCAL_LOG_LEVEL", "INFO"),
        "TMPDIR": str(home / "tmp"),
        "AWS_DEFAULT_REGION": region,
        # Both are made up: the engine's root identity, for the calls that the engine makes to itself.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def serve(port: int, home: Path, region: str, also_listen: Sequence[str] = ()) -> None:
    """Runs the engine in this process until SIGINT or SIGTERM; raises where another version of it is installed.

    It listens on the loopback address, and on the addresses in ``also_listen``: a container's bridge, for instance.
    """
    installed = version("ministack")
    if installed != PINNED_ENGINE:
        raise RuntimeError(
            f"The overlay in local/overlay is written against MiniStack {PINNED_ENGINE}, but {installed} is installed. "
            "Run `make test` after an upgrade: each overlay module has a test that says whether it is still needed."
        )
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    ensure_lambda_runtime(PROJECT)  # here, because an installer may need the variables that are dropped next
    environment = engine_environment(port, home, region)
    os.environ.clear()
    os.environ.update(environment)

    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415 - after the environment is set
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415

    from local.overlay import install_all  # noqa: PLC0415
    from local.overlay.engine_hooks import Engine  # noqa: PLC0415

    engine = Engine(app, f"http://127.0.0.1:{port}", region, ACCOUNT_ID, home, PROJECT)
    wrapped = install_all(engine)
    config = Config()
    config.bind = [f"{address}:{port}" for address in ("127.0.0.1", *also_listen)]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for stop_signal in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(stop_signal, stop.set)

        async def told_to_stop() -> None:
            await stop.wait()
            for let_go in engine.before_stop:
                let_go()

        # hypercorn types the ASGI events one by one; ours are plain mappings.
        await hypercorn_serve(cast("Any", wrapped), config, shutdown_trigger=told_to_stop)

    asyncio.run(until_stopped())


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.engine", description="Run the embedded AWS in the foreground."
    )
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--home", type=Path, default=Path(".local/engine"))
    parser.add_argument("--region", default="eu-central-1")
    parser.add_argument("--also-listen", action="append", default=[], metavar="ADDRESS")
    arguments = parser.parse_args()
    serve(arguments.port, arguments.home.resolve(), arguments.region, arguments.also_listen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
