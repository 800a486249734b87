"""The hook of mkdocs: pages that are written when the site is built, their places in it, and marks made visible.

Nothing that it writes is committed: what a page says of a method stands in the method's own file.
"""

import re
from pathlib import Path
from typing import Any

import house
import pictures
import reference
import specs

DOCS = Path(__file__).parents[1]
MARK = re.compile(r"^<!-- not run: (.+?) -->$", flags=re.MULTILINE)


def generated() -> dict[str, str | bytes]:
    """Every page and picture that is made at build time, by its path."""
    made: dict[str, str | bytes] = {"methods/index.md": specs.index(), "reference/sources.md": specs.sources()}
    made |= {f"methods/{name}.md": specs.method(cls) for name, cls in specs.of("condenser").items()}
    made |= {f"protocols/{name}.md": specs.protocol(cls) for name, cls in specs.of("protocol").items()}
    made |= {f"metrics/{name}.md": specs.metric(cls) for name, cls in specs.of("metric").items()}
    made |= {f"methods/pictures/{name}.png": pictures.cut(name) for name in pictures.CUTS}
    made |= {"reference/commands.md": reference.commands(), "reference/house.md": house.page()}
    return made | reference.python()


def on_config(config: Any) -> Any:
    """Put the generated pages into the sections of the navigation that name them with an empty list."""
    methods = specs.of("condenser")
    lists = {label: _of_family(methods, key) for key, (label, *_) in specs.FAMILIES.items()}
    lists |= {
        "Each protocol": [{name: f"protocols/{name}.md"} for name in specs.of("protocol")],
        "Each metric": [{name: f"metrics/{name}.md"} for name in specs.of("metric")],
        "Results": [{_heading(page): f"results/{page.name}"} for page in sorted((DOCS / "results").glob("*.md"))],
    }
    _fill(config.nav, lists)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File  # here, so that the tests need no mkdocs

    for path, content in generated().items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Say above a block of code that the tests do not run it, and why."""
    return MARK.sub(r"<small>Not run by the tests: \1.</small>", markdown)


def _of_family(methods: dict[str, type[Any]], family: str) -> list[dict[str, str]]:
    return [{name: f"methods/{name}.md"} for name, cls in methods.items() if specs.family(cls) == family]


def _fill(nav: list[Any], lists: dict[str, list[dict[str, str]]]) -> None:
    for entry in nav:
        for title, inside in entry.items() if isinstance(entry, dict) else ():
            if title in lists and not inside:
                entry[title] = lists[title]
            elif isinstance(inside, list):
                _fill(inside, lists)


def _heading(page: Path) -> str:
    """What a page calls itself, as far as it fits into the navigation."""
    return page.read_text("utf-8").partition("\n")[0].lstrip("# ").partition(":")[0].partition(",")[0]
