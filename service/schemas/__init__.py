"""The documents of the API, one file per noun: routes are declared by them, pages read them, mypy checks both."""
