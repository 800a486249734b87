"""The two errors that a person, not a programmer, is meant to read."""


class DecoctError(Exception):
    """Something went wrong that the message explains in one to three lines; the command line exits with 1."""


class UsageError(DecoctError):
    """What was asked for cannot be meant: an unknown name, key or combination; the command line exits with 2."""
