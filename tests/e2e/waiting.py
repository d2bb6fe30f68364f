# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for a condition, with a limit and words for what was waited for."""

import os
import time

LIMIT = 100.0 if "STOX_UNDER" in os.environ else 20.0
"""Seconds a condition may take. Ten times what a loaded machine needs, also under a memory checker: a test never
waits for it when all is well."""


class NotInTime(AssertionError):
    """A condition did not become true within its limit."""


def until(condition, what, limit=LIMIT, evidence=None):
    """Returns the first true value of `condition()`.

    `what` completes the sentence "waited for ..."; `evidence()` gives text that may tell why it did not come.
    """
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = f"waited {limit:g} s for {what}"
            if evidence is not None:
                text += "\n" + evidence()
            raise NotInTime(text)
        time.sleep(0.01)


def never(condition, what, seconds=1.0):
    """Fails if `condition()` becomes true within `seconds`: for what must stay silent."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            raise AssertionError(f"did not expect {what}: {value}")
        time.sleep(0.01)
