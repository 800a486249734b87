"""Imagenette, ten easy classes of ImageNet-1K; in fastai's split or in ImageNet-1K's."""

from decoct.data.imagenet.imagenet import FASTAI, TenClasses

WNIDS = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)


class Imagenette(TenClasses):
    """Imagenette 2 (Howard, 2019, github.com/fastai/imagenette); RDED and others cut its classes from ImageNet-1K."""

    classes = WNIDS
    expected = {FASTAI: (9_469, 3_925)}
