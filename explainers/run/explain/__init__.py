"""A folder of images through methods: pictures, raw maps, one table.

Begin with `run.py` (read, explain in batches, write, note as done); `outputs.py` writes the files of one image,
`options.py` has what decides a run.
"""
