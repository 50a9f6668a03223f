"""The commands of `explain`: what is done when one is typed.

Begin with `run.py`.
"""
