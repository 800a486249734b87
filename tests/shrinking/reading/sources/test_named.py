"""decoct's own data sets: all train images are candidates, and originals are their exact pixels."""

import io

import numpy as np
from PIL import Image

from decoct.data.dataset import load_data
from decoct.shrinking.pool import TEST, TRAIN
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool


def test_digits(tmp_path):
    data, pool = load_data("digits"), read_pool("digits", tmp_path)
    train, val, test = (len(split) for split in (data.train, data.val, data.test))
    assert pool.split.tolist() == [TRAIN] * (train + val) + [TEST] * test
    assert (pool.images == np.concatenate([data.train.images, data.val.images, data.test.images])).all()
    assert (pool.labels == np.concatenate([data.train.labels, data.val.labels, data.test.labels])).all()
    assert pool.class_names == data.class_names and pool.paths[train] == "val/000000"
    found, ending = original(pool, train + 2)
    assert (np.asarray(Image.open(io.BytesIO(found))) == data.val.images[2, 0]).all() and ending == ".png"
    assert original_path(pool, 0) is None


def test_a_plug_in_s_data_set(tmp_path):
    plugin = tmp_path / "two_tones.py"
    plugin.write_text(
        '"""Two tones."""\n'
        "import numpy as np\n"
        "from decoct.data.source import Part, Raw, Source\n"
        "class TwoTones(Source):\n"
        '    """Made up."""\n'
        "    def manifest(self):\n"
        "        return 1\n"
        "    def read(self, manifest, scratch, progress):\n"
        "        images = np.random.default_rng(0).integers(0, 256, (40, 3, 90, 90), dtype=np.uint8)\n"
        "        part = Part(images, np.arange(40) % 2, np.arange(40))\n"
        '        return Raw(("dark", "light"), {"train": part, "test": part})\n'
    )
    pool = read_pool("two_tones", tmp_path / "pools", plugins=[str(plugin)])
    assert len(pool) == 80 and pool.size == 64 and pool.width.tolist() == [90] * 80
    assert pool.facts["said"] == ["pictures whose shorter side has 90 px are made 64 × 64 px"]
    assert len(np.unique(pool.groups)) == 40  # train and test are the same
