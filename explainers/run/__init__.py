"""Folders of images through methods (`explain/`) and an evaluation (`evaluate/`), and maps to be edited (`edit/`).

Here the rooms below are put together: models, data, methods, metrics, pictures, and the run folder of `storage` that
lets a killed run go on. Nothing but the doors above (`explanation.py`, `diagnosis.py`, `cli`) imports this. Begin with
`explain/run.py`, where an image's way is one page.
"""

from explainers.run.explain.options import MethodCall, RunOptions
from explainers.run.explain.run import RunSummary, run

__all__ = ["MethodCall", "RunOptions", "RunSummary", "run"]
