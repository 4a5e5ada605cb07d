"""Work beside the main thread that never keeps the process from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def in_background[T](work: Callable[[], T]) -> Future[T]:
    """Starts ``work`` in a daemon thread; the future has its result, or what it raised.

    Not an executor: that one joins its threads when the process ends, and Ctrl-C would wait for a build.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
