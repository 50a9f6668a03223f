"""What a finished run or evaluation left, in the formats of other tools: one file a format.

`exported.py` holds what they share: the folder that is read, the place that is written, what is told. Begin with it,
then `zarr.py`. `parquet.py` writes the table with its types, the others maps, regions, pictures and scores.
"""
