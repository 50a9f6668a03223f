"""Images through explainers through metrics: where the images, maps and classes come from, and what is written.

Begin with `evaluate.py`, the door of `explainers.evaluate`; `batches.py` brings the images, `outputs.py` writes the
tables.
"""
