"""What metrics are measured with: images on their way, rankings, curves, and passes that all metrics share.

A `Batch` that the network has seen is a `Chunk`; with the maps of one explainer it is a `Subject`. A metric yields jobs
(`passes.py`) and watches curves (`curves.py`); `lock_step.py` lets all metrics take turns so that their passes fill
common batches. Stands on `network` and `passes` and knows no metric. Begin with `subject.py` (what a metric gets), then
`lock_step.py`.
"""
