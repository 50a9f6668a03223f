"""A folder of images through methods: journal, resume, pictures, maps, one table."""

from explainers.run.folder import RunSummary, run
from explainers.run.options import MethodCall, RunOptions

__all__ = ["MethodCall", "RunOptions", "RunSummary", "run"]
