"""The two ways in which work can fail: try again, or never again and here is why."""


class Retryable(Exception):  # noqa: N818 - reads as what it asks of the caller
    """The same input may succeed later: a service was throttled, away, or answered in part."""


class Rejected(Exception):  # noqa: N818 - reads as what happened to the input
    """The same input will never succeed. ``reason`` is for the person who looks into the quarantine."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
