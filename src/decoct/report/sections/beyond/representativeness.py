"""How well do the sets represent the data?"""

from decoct.report.page.section import Section
from decoct.report.sections.beyond import _readings

SECTION = Section(
    "Representativeness",
    20,
    lambda s: _readings.of_axis(s, "representativeness"),
    lambda s: _readings.said(s, "representativeness"),
)
