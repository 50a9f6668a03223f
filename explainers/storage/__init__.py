"""Files that survive a kill, and the folder that a command writes.

`explain run`, `explain evaluate` and `explain train` all write into a `RunFolder`: one process at a time, each unit of
work noted when its files are on the disk, refused where another run's results lie. A command brings its units and its
files; `verify.py` compares what it left with what it noted.
Needs `explainers.errors` alone. Begin with `run_folder.py`; `atomic.py` writes one file, `journal.py` notes what is
done; `files.py` reads regular files alone, `csv_text.py` makes tables, `paths.py` shows names.
"""
