"""Python's search for garbage, which stops everything while it goes on."""

import gc


def leave_alone_what_stays() -> None:
    """Take what is there out of every later search: modules, routes and tables stay until the process ends.

    Some 400,000 objects; to look through them takes 0.1 s, in the middle of some request.
    """
    gc.collect()
    gc.freeze()
