"""DC: learnt images that give a net, throughout its training on them, the gradients of real images."""

from decoct.methods.matching._shared.gradients import GradientMatching
from decoct.methods.matching._shared.synthetic import Init


class DC(GradientMatching):
    """Dataset condensation by gradient matching (Zhao, Mopuri and Bilen, 2021, arXiv:2006.05929).

    As in the authors' code, gradients of biases and of the norms' parameters are not matched, and the net trains by
    plain SGD (their first release had momentum .5). Their accuracies are those of the images after ``iterations``, as
    here; the file that they save comes from one iteration more. In a net with batch norm they fix its statistics by 16
    real images of each class; here such nets are refused.

    Attributes:
        init: "noise", the default of the authors' program, or "real".
    """

    init: Init = "noise"
