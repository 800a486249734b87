"""How real do the images look, and how many are copies?"""

from decoct.report.page.section import Section
from decoct.report.sections.beyond import _readings

SECTION = Section(
    "Quality",
    40,
    lambda s: _readings.of_axis(s, "quality"),
    lambda s: _readings.said(s, "quality"),
)
