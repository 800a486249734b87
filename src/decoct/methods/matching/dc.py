"""DC: learnt images that give a net, throughout its training on them, the gradients of real images."""

from decoct.methods.matching._shared.gradients import GradientMatching
from decoct.methods.matching._shared.synthetic import Init


class DC(GradientMatching):
    """Dataset condensation by gradient matching (Zhao, Mopuri and Bilen, 2021, arXiv:2006.05929).

    As in the authors' code, gradients of biases and of the norms' parameters are not matched. The code runs one
    iteration more than it says; its net trains by plain SGD in later versions, as here, and with momentum .5 in
    earlier ones. It fixes batch norm by 16 real images per class; here nets with batch norm are refused.

    Attributes:
        init: "noise", as the authors start, or "real"; they find both alike.
    """

    init: Init = "noise"
