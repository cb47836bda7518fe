"""The market room: instruments, raw bars, sessions, cleaning, rolls, resampling, simulated markets."""
