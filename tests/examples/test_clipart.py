"""The clip art's class folders: copies once, what lies in two classes not at all, small classes left out."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "examples" / "clipart.py"


@pytest.fixture
def clipart():
    spec = importlib.util.spec_from_file_location("clipart_example", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plant(root, **files):
    for name, content in files.items():
        path = root / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_each_picture_once_and_in_one_class(tmp_path, clipart):
    plant(
        tmp_path / "png", a__1=b"x", a__2=b"y", a__deep__1=b"z", a__deep__copy=b"x", b__1=b"p", b__2=b"q", c__1=b"only"
    )
    plant(tmp_path / "png", b__a=b"y")  # in a, too
    (tmp_path / "png" / "b" / "link.png").symlink_to(tmp_path / "png" / "b" / "1.png")
    (tmp_path / "png" / "b" / "notes.txt").write_text("no picture")
    assert clipart.lay_out(tmp_path / "png", tmp_path / "made", 2) == {"a": 2, "b": 2}
    found = {
        path.relative_to(tmp_path / "made").as_posix(): path.read_bytes() for path in (tmp_path / "made").rglob("*.png")
    }
    assert found == {"a/1.png": b"x", "a/deep-1.png": b"z", "b/1.png": b"p", "b/2.png": b"q"}
    assert all(path.is_symlink() for path in (tmp_path / "made").rglob("*.png"))


def test_the_command(tmp_path, clipart, monkeypatch, capsys):
    plant(tmp_path / "png", **{f"a__{i}": bytes([i]) for i in range(100)}, b__1=b"few")
    monkeypatch.setattr(clipart, "SOURCE", tmp_path / "png")
    monkeypatch.setattr("sys.argv", ["clipart.py", str(tmp_path / "made")])
    clipart.main()
    assert capsys.readouterr().out.splitlines()[-1] == f"   100  pictures in 1 classes: {tmp_path / 'made'}"
    with pytest.raises(SystemExit, match="exists: remove it"):
        clipart.main()
    monkeypatch.setattr(clipart, "SOURCE", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match="apt-get install openclipart-png"):
        clipart.main()


def test_debians_package(tmp_path, clipart):
    if not clipart.SOURCE.is_dir():
        pytest.skip("Debian's openclipart-png is not installed")
    counts = clipart.lay_out(clipart.SOURCE, tmp_path / "made")
    assert len(counts) == 11 and min(counts.values()) >= 100
    names = [path.relative_to(tmp_path / "made").parts for path in (tmp_path / "made").rglob("*.png")]
    assert len(names) == sum(counts.values()) and {len(parts) for parts in names} == {2}
