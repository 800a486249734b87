"""The notebook of ``decoct.shrink`` runs from an empty folder to a trained model; the script that checks an answer."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from decoct.api import load_data

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "shrink.ipynb"


def printed(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]


def test_it_is_kept_with_its_outputs_and_nothing_of_a_machine():
    shown = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(shown)
    assert all(printed(shown))
    assert not re.search(r"/(home|root|tmp|work|Users|usr)/|site-packages|stderr", NOTEBOOK.read_text("utf-8"))


def test_it_runs_to_an_answer_and_a_model_trained_on_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))
    made = nbformat.read(NOTEBOOK, as_version=4)
    for cell in made.cells:  # planned for one minute: a quarter of the trainings, and the same steps
        cell.source = cell.source.replace('out="small")', 'out="small", minutes=1)')
    assert sum("minutes=1" in cell.source for cell in made.cells) == 1
    how = {"timeout": 600, "kernel_name": "python3", "coalesce_streams": True}
    NotebookClient(made, resources={"metadata": {"path": str(tmp_path)}}, **how).execute()
    look, answer, numbers, model = printed(made)
    assert look == "Nothing is found to be wrong with the images.\n"
    assert answer.startswith("shown\n") and "to within 3.0 points" in answer
    assert (tmp_path / "small" / "report.html").is_file()
    n, accuracy = re.fullmatch(r"(\d+) images train it to ([\d.]+) %\n", model).groups()
    assert numbers.startswith(f"{n} images: ") and float(accuracy) > 80


def test_a_data_set_by_name_becomes_class_folders(tmp_path):
    words = [sys.executable, EXAMPLES / "class_folders.py", "digits", tmp_path / "digits", "50", "7"]
    subprocess.run(words, check=True)
    data = load_data("digits")
    for split, own, count in (("train", data.train, 50), ("test", data.test, 7)):
        files = sorted((tmp_path / "digits" / split).rglob("*.png"), key=lambda file: file.name)
        assert len(files) == count and [int(file.parent.name) for file in files] == own.labels[:count].tolist()
        assert all(np.array_equal(Image.open(file), own.images[i][0]) for i, file in enumerate(files))


def test_the_script_that_checks_an_answer_reads_class_folders(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("small", 20), ("test", 10)):
        for label, grey in enumerate((60, 190)):
            (tmp_path / split / str(label)).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(grey, 30, (8, 8, 4)), 0, 255).astype(np.uint8)
                pixels[..., 3] = 255
                Image.fromarray(pixels).save(tmp_path / split / str(label) / f"{i}.png")
    words = [sys.executable, EXAMPLES / "check_shrink.py", tmp_path / "small", tmp_path / "test", "8"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 6
    found = re.fullmatch(r"40 images: ([\d.]+) % on 20 others", said[-1])
    assert found and float(found[1]) > 90


@pytest.mark.parametrize("word", ["convnet3_w16", "10", "200", "64", "0.01"])
def test_its_recipe_is_that_of_the_default_learner(word):
    from decoct.shrinking.learners.scratch import Scratch

    recipe = Scratch("convnet3_w16")
    said = {recipe.student, str(recipe.epochs), str(recipe.least), str(recipe.batch), str(recipe.lr)}
    assert word in said
    if word != "convnet3_w16":
        script = (EXAMPLES / "check_shrink.py").read_text("utf-8")
        assert re.search(rf"WIDTH, EPOCHS, LEAST, BATCH, RATE = 16, .*\b{re.escape(word)}\b", script)
