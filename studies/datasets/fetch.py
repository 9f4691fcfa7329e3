"""Download one torchvision data set. A script for a process of its own, which its parent may end at any time:

    python -P fetch.py <class> <options as JSON> <root>

torchvision sets no timeout, and a process of its own can have one for all its connections. The last line
written says what went wrong.
"""

import json
import socket
import sys

STALL_LIMIT_SECONDS = 30.0
"""A connection that says nothing for so long has failed."""


def main(class_name: str, options: str, root: str) -> int:
    """Download training and test images into `root`.

    Args:
        class_name: of torchvision.datasets.
        options: arguments of the class, as JSON.
        root: the folder that torchvision calls root.
    Returns:
        exit status: 0 if all is there, 1 otherwise.
    """
    socket.setdefaulttimeout(STALL_LIMIT_SECONDS)
    try:
        import torchvision.datasets

        dataset = getattr(torchvision.datasets, class_name)
        for train in (True, False):
            dataset(root, train=train, download=True, **json.loads(options))
    except Exception as cause:  # whatever it is, the parent needs to know and nobody else is there
        print(" ".join(f"{type(cause).__name__}: {cause}".split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
