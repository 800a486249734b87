"""A self-contained HTML page: no network, light and dark, for phone, screen and paper."""

import string
from functools import cache
from importlib.resources import files

from decoct.report.page.markup import Markup, tag


def document(title: str, header: Markup, main: Markup, holes: Markup, filters: Markup) -> str:
    """A whole page of ready parts, with the style, the script and the library that draws."""
    template = string.Template(_asset("page.html"))
    return template.substitute(
        title=tag("title", title),
        style=_asset("page.css"),
        header=header,
        holes=holes,
        filters=filters,
        main=main,
        plotly=_plotly(),
        script=_script(),
    )


def _asset(file: str) -> str:
    return files("decoct.report.page").joinpath(file).read_text("utf-8")


def _script() -> str:
    """The page's own script: its parts one after the other, in a scope of their own."""
    parts = (_asset(f"script/{part}.js") for part in ("filters", "tables", "figures", "page"))
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();"


@cache
def _plotly() -> str:
    """The library that draws, 5 MB, so that the page needs no network."""
    from plotly.offline import get_plotlyjs  # late: everything else works without

    return str(get_plotlyjs()).replace("</script", "<\\/script")
