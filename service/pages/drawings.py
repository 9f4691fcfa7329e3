"""Parts of pages that have been drawn already."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

KEPT = 352
"""Parts that are kept: eleven of a page at most, so those of the latest 32 studies. The figures of the largest grid
take some 2 MB, all other parts some kB."""

Part = TypeVar("Part")


class Drawings:
    """The latest drawing of each part, drawn once for whoever asks.

    A part has one place, which its drawing for another state takes over: a study that goes on does not push others out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Hashable, Future[Any]]] = OrderedDict()

    def of(self, name: str, state: Hashable, draw: Callable[[], Part]) -> Part:
        """A part as it is drawn for a state.

        Args:
            name: which part.
            state: all that the drawing depends on and that may change. It is read from the store for each page, since
                other processes write there too, and before what is drawn, so that a drawing is at least as new.
            draw: draws it; whoever asks for the same meanwhile waits for the same drawing.
        """
        with self._lock:
            kept = self._kept.get(name)
            begins = kept is None or kept[0] != state
            if kept is None or begins:
                kept = self._kept[name] = (state, Future())
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if begins:
            self._draw(name, kept, draw)
        return cast(Part, kept[1].result())

    def _draw(self, name: str, kept: tuple[Hashable, Future[Any]], draw: Callable[[], Any]) -> None:
        try:
            kept[1].set_result(draw())
        except BaseException as error:  # told to those who wait; whoever comes later has it tried again
            kept[1].set_exception(error)
            with self._lock:
                if self._kept.get(name) is kept:
                    del self._kept[name]
