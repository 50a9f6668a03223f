"""What `explain train` does around the trainer: settings out of flags, what it begins with, maps drawn meanwhile.

Begin with `settings.py`.
"""
