"""Generated pages: one for each name, with all its fields, commands that are there, links that lead somewhere."""

import re
from pathlib import Path

import docstrings
import pages
import pictures
import pytest
import specs
from PIL import Image

ROOT = Path(__file__).parents[2]
KINDS = {"condenser": "methods", "protocol": "protocols", "metric": "metrics"}
LINK = re.compile(r"\]\(([^)#:]+\.(?:md|png))(?:#[\w-]+)?\)")


@pytest.fixture(scope="module")
def made():
    return pages.generated()


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_a_page_with_all_its_fields_and_papers(made, kind):
    for name, cls in specs.of(kind).items():
        page = made[f"{KINDS[kind]}/{name}.md"]
        for field in cls.model_fields:
            assert re.search(rf"^\| `{field}` \| \S.* \| \S.* \|", page, re.MULTILINE), (name, field)
        for number in re.findall(r"arXiv:(\d{4}\.\d{4,5})", cls.__doc__ or ""):
            assert f"https://arxiv.org/abs/{number}" in page, (name, number)
        assert cls.__doc__ and docstrings.inline(docstrings.own(cls).summary) in page


def test_every_command_of_a_page_is_there(made, valid):
    found = [
        block for page in made.values() if isinstance(page, str) for block in re.findall(r"```sh\n(.*?)```", page, re.S)
    ]
    assert len(found) >= sum(len(specs.of(kind)) for kind in KINDS)
    for block in found:
        for line in block.replace("\\\n", " ").splitlines():
            valid(line)


def test_no_prose_stands_as_code(made):
    """A formula whose double spaces are not both on its line takes the sentence after it along."""
    for path, page in made.items():
        for line in page.splitlines() if isinstance(page, str) else ():
            for code in docstrings.CODE.findall(line):
                assert not re.search(r"[a-z)P]\. [A-Z]|, (where|which|since) ", code), (path, code)


def test_every_link_of_a_generated_page_leads_somewhere(made):
    for path, page in made.items():
        for link in LINK.findall(page) if isinstance(page, str) else ():
            target = (ROOT / "docs" / path).parent.joinpath(link).resolve().relative_to(ROOT / "docs")
            assert str(target) in made or (ROOT / "docs" / target).is_file(), f"{path}: {link}"


def test_pictures_are_panels_without_their_titles(made):
    shown = {path for path in made if path.endswith(".png")}
    distilled = {name for name, cls in specs.of("condenser").items() if specs.family(cls) != "coresets"}
    distilled -= {"d4m"}  # which needs Stable Diffusion
    assert shown == {f"methods/pictures/{name}.png" for name in distilled | {"random", "herding", "k_center"}}
    assert all(made[path][:8] == b"\x89PNG\r\n\x1a\n" for path in shown)
    for sheet, _, (column, row) in pictures.CUTS.values():
        with Image.open(pictures.RESULTS / f"{sheet}.png") as image:
            across, down = (image.width + 10) / pictures.WIDTH, image.height / pictures.HEIGHT
        assert across == 4 > column and down % 1 == 0 and row < down, f"{sheet}.png is no sheet of panels"


def test_sections_of_a_docstring():
    found = docstrings.parse(
        """What it does,
        on two lines (Somebody, 2020, arXiv:2001.00001).

        More of it.

            a = b

        Args:
            x: [N, d], wrapped
                here.
            y: another.

        Returns:
            z: what comes out.
        """
    )
    assert found.summary == "What it does, on two lines (Somebody, 2020, arXiv:2001.00001)."
    assert found.body == "More of it.\n\n    a = b"
    assert found.items["Args"] == {"x": "[N, d], wrapped here.", "y": "another."}
    assert found.text["Returns"] == "z: what comes out."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x_i * y < z [N, d]", r"x\_i \* y &lt; z \[N, d\]"),
        ("a ``b_c`` d", "a ``b_c`` d"),
        ("minimises  Σ_m w_m  over m", "minimises `Σ_m w_m` over m"),
        ("rate:  a = b_c / d.", "rate: `a = b_c / d`."),
        ("see arXiv:2001.00001.", "see [arXiv:2001.00001](https://arxiv.org/abs/2001.00001)."),
    ],
)
def test_a_line_as_markdown(text, expected):
    assert docstrings.inline(text) == expected


def test_formulas_that_stand_by_themselves_are_blocks_one_a_line():
    assert docstrings.markdown("a = 1        b  = 2\nc = 3") == "```text\na = 1\nb = 2\nc = 3\n```"
    assert docstrings.markdown("The a = 1 of b.") == "The a = 1 of b."
    assert docstrings.markdown("``a = 1`` is plain.") == "``a = 1`` is plain."
    assert docstrings.markdown("- one\n- two\n  wrapped") == "- one\n- two wrapped"


def test_a_long_formula_is_broken_where_it_has_spaces():
    formula = "a = " + "b + " * 40 + "c"
    first, *lines, last = docstrings.markdown(formula).splitlines()
    assert (first, last) == ("```text", "```")
    assert len(lines) > 1 and all(len(line) <= 72 for line in lines)
    assert " ".join(line.strip() for line in lines) == formula


def test_a_mark_is_made_visible():
    text = pages.on_page_markdown("before\n\n<!-- not run: needs a cluster -->\n```sh\nray up\n```\n")
    assert text == "before\n\n<small>Not run by the tests: needs a cluster.</small>\n```sh\nray up\n```\n"


def test_lists_of_the_navigation_are_filled_where_they_are_empty():
    nav = [{"Metrics": ["metrics.md", {"Each metric": []}]}, {"Results": []}, "index.md"]

    class Config:
        pass

    Config.nav = nav
    pages.on_config(Config)
    assert {"vendi": "metrics/vendi.md"} in nav[0]["Metrics"][1]["Each metric"]
    assert any("results/coresets.md" in entry.values() for entry in nav[1]["Results"])
    titles = [title for entry in nav[1]["Results"] for title in entry]
    assert len(titles) == len(set(titles)) and not any("`" in title for title in titles)
