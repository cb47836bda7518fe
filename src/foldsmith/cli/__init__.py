"""The command line: parse, build settings, call a stage, say what was made and what to run next."""
