"""DSA: gradient matching behind one augmentation that real and learnt images share."""

from decoct.methods.matching._shared.gradients import GradientMatching
from decoct.methods.matching._shared.synthetic import Init


class DSA(GradientMatching):
    """Dataset condensation with differentiable Siamese augmentation (Zhao and Bilen, 2021, arXiv:2102.08259).

    DC, with one transform a class at each update of the images, and one set of parameters for all images of the class,
    real and learnt, through which the gradient flows back to the pixels. The net's training on the learnt images is
    augmented as well, one transform a batch with parameters of its own for every image. Mirroring is among the
    transforms where the data may be mirrored; the authors leave it out for MNIST and SVHN.

    Attributes:
        init: "real", as in the authors' command for this method, or "noise".
    """

    siamese = True
    init: Init = "real"
