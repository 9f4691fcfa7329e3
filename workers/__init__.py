"""Turns a pack of training configurations into results; knows `studies` only, never a database."""
