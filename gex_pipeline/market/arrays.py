"""Names for the numpy columns that the core passes around."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]
"""datetime64[D], New York calendar dates."""
Texts = npt.NDArray[np.str_]
