"""How a training goes, as records of plain values that fit into a file and tell two trainings apart.

`settings.py` holds all of them in one; optimisers, schedules, plans (what learns when), augmentations and each
network's own losses and plan (`recipes.py`) have a file each. Begin with `settings.py`.
"""
