"""The model file: archive, metadata, saving, loading."""
