"""Names in CSV files: none is run by a spreadsheet, and each is read back as it was.

A spreadsheet runs a cell that begins with one of ``= + - @``, a tab or an end of line. The usual remedy is an
apostrophe before it (OWASP, "CSV Injection"). One that begins with apostrophes and such a sign gets another, so that a
reader can take one away.
"""

import re

FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")  # also in full width, as OWASP lists them


def quoted(name: str) -> str:
    """A name as a CSV cell that is text to a spreadsheet; numbers need no such care, and are not to be quoted."""
    return f"'{name}" if FORMULA.match(name) else name


def unquoted(cell: str) -> str:
    """The name that ``quoted`` wrote."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
