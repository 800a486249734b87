"""The notebook runs from an empty folder, and what it shows is what it prints, but for decimals and chance."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def words(text):
    """What does not hang on rounding: the words before the first number of each line, and how many lines."""
    return [re.split(r"[\d−+]", line)[0] for line in text.splitlines()]


@pytest.fixture(scope="module")
def shown():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def ran(shown, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        folder = tmp_path_factory.mktemp("first")
        made = nbformat.from_dict(shown)
        for cell in code(made):
            cell.outputs = []
        how = {"timeout": 600, "kernel_name": "python3", "coalesce_streams": True}
        NotebookClient(made, resources={"metadata": {"path": str(folder)}}, **how).execute()
        return made, folder


def test_it_is_kept_with_its_outputs_and_nothing_of_a_machine(shown):
    nbformat.validate(shown)
    assert [cell.execution_count for cell in code(shown)] == list(range(1, len(code(shown)) + 1))
    assert all(cell.outputs for cell in code(shown))
    text = NOTEBOOK.read_text("utf-8")
    assert len(text) < 60_000 and not re.search(r"/(home|root|tmp|work|Users|usr)/|site-packages|stderr", text)


def test_every_cell_runs_and_prints_what_is_shown(shown, ran):
    for before, now in zip(code(shown), code(ran[0]), strict=True):
        assert [output.output_type for output in now.outputs] == [output.output_type for output in before.outputs]
    first, load, sets = (printed(cell) for cell in code(ran[0])[:3])
    assert (first, load, sets) == tuple(printed(cell) for cell in code(shown)[:3])
    scores = [printed(notebook.cells[i]) for notebook in (shown, ran[0]) for i in (-2,)]
    assert words(scores[0]) == words(scores[1])


def test_it_ends_with_an_answer_and_a_page(ran):
    made, folder = ran
    answer = next(printed(cell) for cell in code(made) if "IS DISTILLING WORTH IT HERE?" in printed(cell))
    assert answer.startswith("0 jobs failed\n") and "- For 50 images, take " in answer
    assert (folder / "runs" / "pictures" / "report.html").is_file()
    right = [int(number) for number in re.findall(r"(\d+) % of the test pictures", printed(code(made)[4]))]
    assert len(right) == 3 and min(right) > 40  # chance is 10
