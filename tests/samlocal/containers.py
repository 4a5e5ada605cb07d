"""The container engine of this machine, where there is one."""

import ipaddress
import json
import shutil
import subprocess
import sys

BASE_IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"


def docker(*arguments: str) -> str | None:
    """What a docker command prints, or None where it fails or there is no docker."""
    executable = shutil.which("docker")
    if executable is None:
        return None
    done = subprocess.run([executable, *arguments], capture_output=True, text=True, check=False, timeout=30)
    return done.stdout if done.returncode == 0 else None


def bridge_address() -> str | None:
    """This machine's address on the containers' default network, by which they reach it; None where there is none.

    Only on Linux is that network this machine's own.
    """
    described = docker("network", "inspect", "bridge") if sys.platform == "linux" else None
    if described is None:
        return None
    settings = json.loads(described)[0]["IPAM"]["Config"][0]
    first_host = next(ipaddress.ip_network(settings["Subnet"]).hosts())
    return str(settings.get("Gateway") or first_host)
