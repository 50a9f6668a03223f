"""What a finished run or evaluation left, in the formats of other tools: one file a format.

Begin with `parquet.py`: the table, with the types that its values had when they were made.
"""
