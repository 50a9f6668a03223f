"""What a person reads of an evaluation or of a drift: cells with intervals, paired tests, columns, footers.

`comparison.py` makes cells and tests of rows, `summary.py` the table of an evaluation, `areas.py` what is known of
areas under adaptive curves, `columns.py` the layout. Begin with `summary.py`.
"""
