"""Image files, sample images and generated data."""
