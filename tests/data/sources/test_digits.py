"""The digits against scikit-learn's own."""

import numpy as np
from sklearn.datasets import load_digits

from decoct.data.dataset import load_data


def test_digits_are_scikit_learns_scaled(tmp_path):
    data = load_data("digits", tmp_path)
    bunch = load_digits()
    splits = (data.train, data.val, data.test)
    images = np.concatenate([split.images for split in splits]).astype(int)
    labels = np.concatenate([split.labels for split in splits])
    assert images.shape == (1797, 1, 8, 8)
    want = [np.floor(image * 255 / 16 + 0.5) for image in bunch.images]
    key = sorted((label, image.tobytes()) for label, image in zip(labels.tolist(), images[:, 0], strict=True))
    assert key == sorted((t, w.astype(int).tobytes()) for t, w in zip(bunch.target.tolist(), want, strict=True))
    assert data.class_names == tuple("0123456789")
    assert data.flip is False


def test_a_fifth_of_each_class_is_test(tmp_path):
    data = load_data("digits", tmp_path)
    total = np.bincount(load_digits().target)
    assert data.counts("test") == np.rint(0.2 * total).astype(int).tolist()
    assert data.counts("val") == np.rint(0.1 * (total - data.counts("test"))).astype(int).tolist()
