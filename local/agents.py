"""``python -m local.agents``: pauses the agents of a stack, or lets them act again (`make pause-agents`).

Agents read the switch before they plan and again before they act. What they were about to do is a person's then.
"""

import argparse
import sys

from botocore.exceptions import BotoCoreError, ClientError

from local import people
from local.process import EngineError
from local.stack import StackError

_VALUES = {"pause": "paused", "resume": "on"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.agents", description="Pause agents, or let them act again.")
    parser.add_argument("verb", choices=tuple(_VALUES))
    parser.add_argument("--env", default="local", help="local (default), dev or prod, as in samconfig.toml")
    arguments = parser.parse_args()
    try:
        client, outputs = people.reach(arguments.env)
        if "AutonomySwitchName" not in outputs:
            raise StackError("This stack is older: it has no AutonomySwitchName. `make up` deploys what changed.")
        name, value = outputs["AutonomySwitchName"], _VALUES[arguments.verb]
        client("ssm").put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    except (EngineError, StackError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    what = "are paused; their cases go to people" if arguments.verb == "pause" else "may act again"
    sys.stdout.write(f"✓ Agents {what}. ({name} is {value!r})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
