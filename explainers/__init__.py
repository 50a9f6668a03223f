"""Heat maps for any trained CNN, and how far to believe them.

The public names stand in `__init__.pyi`, each with the module that it lives in, and are imported on first use: `explain
--help` does not wait for torch, and nothing but the parts that read files and draw needs more than torch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
