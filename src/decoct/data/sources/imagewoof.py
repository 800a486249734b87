"""Imagewoof, ten breeds of dogs of ImageNet-1K; in fastai's split or in ImageNet-1K's."""

from decoct.data.imagenet.imagenet import FASTAI, TenClasses

WNIDS = (
    *("n02086240", "n02087394", "n02088364", "n02089973", "n02093754"),
    *("n02096294", "n02099601", "n02105641", "n02111889", "n02115641"),
)


class Imagewoof(TenClasses):
    """Imagewoof 2 (Howard, 2019, github.com/fastai/imagenette)."""

    classes = WNIDS
    expected = {FASTAI: (9_025, 3_929)}
