"""What a command tells while it works: steps with their times, a timeline of events, tables.

In a terminal a spinner turns beside the step at hand; elsewhere (a log, a pipe) the same facts are plain lines.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Narrator:
    """Writes to ``console``."""

    def __init__(self, console: Console | None = None) -> None:
        # A pipe has no width; 160 columns keep a line a line.
        width = None if sys.stdout.isatty() else 160
        self.console = console or Console(highlight=False, width=width)

    @contextmanager
    def step(self, doing: str, done: str = "") -> Iterator[None]:
        """Tells that something is being done, and, unless it raises, that it was done and in what time."""
        started = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(escape(doing)):
                yield
        else:
            self.tell(f"· {doing}")
            yield
        self.tell(f"✓ {done or doing} ({time.monotonic() - started:.1f} s)")

    def tell(self, line: str = "", style: str = "") -> None:
        """One line as it is."""
        self.console.print(escape(line), style=style or None, soft_wrap=True)

    def event(self, since_start: float, since_before: float, what: str, about: str, style: str = "") -> None:
        """One line of the timeline; times in seconds."""
        line = f"{since_start:8.3f} s  +{since_before * 1000:6.0f} ms  {what:<22} {about}"
        self.tell(line, style)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose first column is text and whose others are figures."""
        table = Table(title=escape(title), title_justify="left")
        for number, name in enumerate(header):
            table.add_column(escape(name), justify="right" if number else "left")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print(table)

    def complain(self, message: str) -> None:
        """What went wrong, on standard error."""
        Console(stderr=True, highlight=False).print(f"✗ {escape(message)}", style="red", soft_wrap=True)
