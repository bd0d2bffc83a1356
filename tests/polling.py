"""Waiting for something to become true, with a deadline: the only place in the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(ask: Callable[[], T], within: float = 30.0, *, every: float = 0.02, what: str = "") -> T:
    """The first true answer of `ask`, asked again every `every` seconds; AssertionError after `within` seconds.

    `what` says in the failure what was waited for; the last answer is shown too.
    """
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within:g} s: {what or ask!r} (last answer: {answer!r})")
        time.sleep(every)
