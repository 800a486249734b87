"""What difference does not matter: as the study says it or, where it says nothing, from what random sets reach."""

import math

POINT, SHARE, LEAST = 0.01, 0.05, 1e-4


def margin(stated: float | None, random: float) -> float:
    """The stated margin; else the smaller of 1 point and 5 % of random's accuracy, so that at 4 % accuracy it is .2.

    Args:
        stated: by the study, a fraction; None where it says nothing.
        random: mean accuracy of random sets in the setting; NaN without.
    """
    if stated is not None:
        return stated
    return POINT if math.isnan(random) else max(LEAST, min(POINT, SHARE * random))
