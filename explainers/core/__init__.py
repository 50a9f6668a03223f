"""What every method stands on; knows nothing above it."""
