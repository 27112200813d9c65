"""Keeps short the pauses in which Python itself holds up the event loop."""

import gc
import sys

_TURN = 0.0005
"""Seconds for which another thread may keep the interpreter from the event loop. uvloop takes it anew for
each event, so with Python's 5 ms a scrape that is being written could make several events late, one after
the other. To change threads costs some 10 us, and happens only while two of them have something to do."""
_YOUNG, _MIDDLE = 700, 10
_OLD = 1000
"""After how many collections of the middle generation all objects are looked at, instead of 10. It takes some
50 ms with 10,000 tasks, and finds next to nothing: entries that are replaced are freed without it. What does
come in cycles, connections and errors, has gone with the young ones."""


def shorten() -> None:
    """Set the interpreter up for this; once, when the program starts."""
    sys.setswitchinterval(_TURN)
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
