"""What a finished run or evaluation left, in the formats of other tools: one file a format.

`parquet.py` writes the table, with the types that its values had when they were made; `tiff.py` the maps. Begin with
`parquet.py`.
"""
