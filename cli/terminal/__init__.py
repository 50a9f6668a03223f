"""What the terminal shows beside the result: how far a command is (`progress.py`), notes, failures and tables
(`telling.py`). Begin with `telling.py`.
"""
