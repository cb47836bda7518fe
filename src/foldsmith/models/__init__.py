"""Base models: one file per family, one small interface, and a catalogue."""
