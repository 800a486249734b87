"""How large a difference in accuracy must be to matter."""

import math

USUAL, SHARE, LEAST = 0.01, 0.05, 1e-4  # one point; of random's accuracy; a margin of 0 could not be tested


def margin(stated: float | None, random: float) -> float:
    """The margin of a setting, a fraction: what the study states, or the smaller of 1 point and 5 % of ``random``'s.

    Args:
        stated: in the study; None where it does not say.
        random: accuracy of random sets in the setting, a fraction; NaN where there are none.
    """
    if stated is not None:
        return stated
    return USUAL if math.isnan(random) else max(LEAST, min(USUAL, SHARE * random))
