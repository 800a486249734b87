"""Names that users give, which become file names and appear on screens."""

import json
import re
from typing import Annotated

from pydantic import AfterValidator

LONGEST = 200  # bytes in UTF-8: file systems take 255, and what is written aside has a longer name
STEERS = re.compile(  # control characters, and those that change the order of text
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e007f]"
)


def check_name(name: str) -> str:
    """The same name, if it may be that of a file: one line of text, no path; else a ValueError."""
    plain = name.isprintable() and name == name.strip() and not {"/", "\\"} & {*name}
    if not plain or name in ("", ".", "..") or len(name.encode()) > LONGEST:
        raise ValueError(
            f"a name is printable text of at most {LONGEST} bytes, without slashes, and without blanks at its ends"
        )
    return name


Name = Annotated[str, AfterValidator(check_name)]


def printable(text: str) -> str:
    r"""Text without control sequences, of one line or several: they are escaped as in JSON, such as ``\\u001b``."""
    return STEERS.sub(lambda found: json.dumps(found[0])[1:-1], text)
