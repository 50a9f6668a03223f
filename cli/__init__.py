"""The `explain` command: parsing and printing only.

`commands/` has a file for each command: what can be typed behind it, and what is done then. The files here are what
commands share: `arguments.py`, `config.py` and `values.py` for what is typed, the others for what is done with it. They
may import every room, each where it is needed, since `explain --help` waits for nothing; no room imports them. Begin
with `main.py`, then `commands/`.
"""
