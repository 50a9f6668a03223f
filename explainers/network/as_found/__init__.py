"""What a call puts back, and what torch does otherwise meanwhile: `buffers.py`, `meanwhile.py`,
`batch_norm_backward.py`.

Begin with `explainers/network/guard.py`, which is what callers enter.
"""

from explainers.network.as_found.buffers import Buffer, buffers_of
from explainers.network.as_found.meanwhile import WILLING, compiled_code, willing

__all__ = ["WILLING", "Buffer", "buffers_of", "compiled_code", "willing"]
