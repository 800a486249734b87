"""How diverse are the sets?"""

from decoct.report.page.section import Section
from decoct.report.sections.beyond import _readings

SECTION = Section(
    "Diversity",
    30,
    lambda s: _readings.of_axis(s, "diversity"),
    lambda s: _readings.said(s, "diversity"),
)
