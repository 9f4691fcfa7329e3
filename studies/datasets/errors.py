"""What can go wrong with a data set.

DatasetError
├── UnknownDataset      (a ValueError)
├── DatasetUnavailable
├── DatasetInvalid
└── DatasetCorrupt
"""


class DatasetError(Exception):
    """Something is wrong with a data set."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or type(self).__doc__ or "")


class UnknownDataset(DatasetError, ValueError):
    """No data set of that name is registered."""


class DatasetUnavailable(DatasetError):
    """The source files of the data set are not here and could not be fetched."""


class DatasetInvalid(DatasetError):
    """The source files of the data set break a rule."""


class DatasetCorrupt(DatasetError):
    """The prepared file is damaged, foreign, or not the one that was asked for."""
