"""What `explain evaluate` makes of its arguments: metrics (`metric_spec.py`), and the images to score on
(`scored_images.py`). Begin with `scored_images.py`.
"""
