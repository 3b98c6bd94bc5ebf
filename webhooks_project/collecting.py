"""How often Python looks for objects that only refer to each other.

By default it looks after every 700 objects that were made and not yet freed. A process with hundreds of
requests under way has many more than that at any time, so a sixth of its CPU went into looking at the same
living objects again. Few of ours are cycles: what is not needed any more is freed at once all the same.
"""

import gc

# About 5 MB of cycles at the most, and a look of a millisecond or two.
NEW_OBJECTS = 20_000


def seldom() -> None:
    """For a process that has loaded what it needs: never look at that again, and at new objects in lots."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
