"""What two programs are seen to do, how far they are apart, and the words for it."""

import json
import random
import sys
from pathlib import Path

import pytest
import torch
from torchvision import transforms

from decoct.methods.decoupled._shared.invert import Views, view

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import side_by_side
from originals.beside import Agreement, At, compare, doubled, first_apart, in_turn, seen_as, watched
from originals.trees import on_cpu, program, recorded, replaced


def descent(shift: float, steps: int = 12) -> None:
    """Adam on x², from 1; from the fourth step on its loss has ``shift`` more slope."""
    x = torch.ones(2, 1, 3, 3, requires_grad=True)
    optimiser = torch.optim.Adam([x], 0.1)
    for t in range(steps):
        optimiser.zero_grad()
        (x.square().sum() + (shift * x.sum() if t >= 3 else 0)).backward()
        optimiser.step()


def test_the_first_iteration_at_which_two_programs_part_is_found():
    with doubled(), watched(shape=(1, 3, 3)) as ours:
        descent(0)
    with doubled(), watched(shape=(1, 3, 3)) as theirs:
        descent(0.1)
    assert len(ours) == 12 and ours[0].images.dtype == torch.float64
    assert ours[0].loss == 18 and torch.equal(ours[0].gradient, 2 * ours[0].images)
    assert first_apart(ours, theirs) == 3 and first_apart(ours, ours) is None
    assert Agreement(compare(ours, ours)).word == "agrees to step 10"
    assert Agreement(compare(ours, theirs)).word == "agrees to step 1, then differs"
    assert Agreement(compare(ours, theirs, (3, 10))).word == "differs"
    assert Agreement(why="needs a GPU").word == "not run"
    assert compare(ours, theirs, (3,))[0].loss == pytest.approx(float(0.1 * theirs[3].images.sum() / theirs[3].loss))


def test_other_tensors_are_not_watched():
    with watched(shape=(1, 3, 4)) as seen:
        descent(0)
    assert not seen


def test_torchvision_sees_what_decoct_drew():
    views = Views.draw([torch.Generator().manual_seed(1)], 9, 8, scale=(0.2, 1.0), flip=True, jitter=3, device="cpu")
    images = torch.rand(1, 4, 1, 8, 8)
    see = transforms.Compose([transforms.RandomResizedCrop(8, antialias=True), transforms.RandomHorizontalFlip()])
    with seen_as(views):
        for t in range(9):
            theirs = torch.roll(see(images[0]), (random.randint(0, 3), random.randint(0, 3)), (2, 3))
            torch.testing.assert_close(view(images, *views.at(t)), theirs)


def test_a_program_runs_on_a_cpu_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "theirs.py").write_text("import torch, short\nx = torch.ones(2, device='cuda').cuda().to('cuda')\n")
    (tmp_path / "short.py").write_text("value = 3\n")
    with on_cpu(), program(tmp_path / "theirs.py") as theirs:
        assert theirs.x.device.type == "cpu" and theirs.short.value == 3
    assert "short" not in sys.modules and str(tmp_path) not in sys.path


def test_what_is_replaced_and_recorded_comes_back():
    with replaced(random, random=in_turn([0.5])), recorded(random, "random") as seen:
        assert random.random() == 0.5
        with pytest.raises(IndexError, match="more often"):
            random.random()
    assert seen == [0.5] and 0 <= random.random() < 1


def test_rows_become_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "ROWS", tmp_path)
    row = Agreement([At(0, 0.0, 1e-9, 0.0), At(1, 0.5, 0.0, 0.0)], "another rate")
    row.write(tmp_path, "dm", repository="who/what", program="main.py", setting="few")
    rows = [
        {"protocol": "erm", "method": who, "condense_replicate": r, "accuracy": 0.7 + r / 100 + (who == "dm") / 1000}
        for who in ("dm", "theirs")
        for r in range(5)
    ]
    known = json.loads((tmp_path / "dm.json").read_text())
    known["sets"] = {"erm": side_by_side.beside(rows, "erm")}
    (tmp_path / "dm.json").write_text(json.dumps(known))
    page = side_by_side.table()
    assert "| dm | who/what, `main.py` | few | 1e-09 | 5e-01 |" in page and "another rate" in page
    assert "| dm | erm | 5 | 72.1 | 72.0 | +0.1 [+0.1, +0.1] | equivalent |" in page
