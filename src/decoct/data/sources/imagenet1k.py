"""ImageNet-1K (ILSVRC-2012), 1,281,167 + 50,000 colour images in 1,000 classes; folders, tars, shards or the hub."""

from decoct.data.imagenet.imagenet import ILSVRC, ImageNet


class ImageNet1K(ImageNet):
    """ILSVRC-2012 (Russakovsky et al., 2015, arXiv:1409.0575)."""

    expected = {ILSVRC: (1_281_167, 50_000)}
