"""What metrics are measured with: chunks of images, rankings, curves, and passes that all metrics share.

A metric yields jobs (`passes.py`) and watches curves (`curves.py`); `lock_step.py` lets all metrics take turns so that
their passes fill common batches. Stands on `passes` and knows no metric. Begin with `subject.py` (what a metric gets),
then `lock_step.py`.
"""
