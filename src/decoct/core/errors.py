"""The errors that are meant for users, not programmers."""


class DecoctError(Exception):
    """Something went wrong that the message explains in one to three lines; the command line exits with 1."""


class UsageError(DecoctError):
    """The request makes no sense: an unknown name, key or combination; the command line exits with 2."""


class LostDeviceError(DecoctError):
    """A device no longer computes, whatever this process asks of it: the job may be done by another one."""


def first_line(error: BaseException) -> str:
    """What an error of a library says first; its name where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
