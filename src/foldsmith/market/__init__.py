"""The market room: instruments, raw bars, sessions, cleaning, the front contract, rolls, resampling, simulation."""
