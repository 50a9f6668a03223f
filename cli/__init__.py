"""The `explain` command: parsing and printing only."""
