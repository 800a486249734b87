"""The page of trials on devices that are not here; sections that are not remade stay."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "results" / "devices.md"


def put(title: str, text: str, page: Path = PAGE) -> None:
    """Put a section into the page, in the place of the one of its title or at the end."""
    parts = re.split(r"^(?=## )", page.read_text("utf-8") if page.is_file() else "# Devices\n\n", flags=re.MULTILINE)
    section = f"## {title}\n\n{text.strip()}\n"
    kept = [section if part.startswith(f"## {title}\n") else part for part in parts]
    kept += [] if section in kept else [section]
    page.write_text("\n".join(f"{part.strip()}\n" for part in kept), "utf-8")
