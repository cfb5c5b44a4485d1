"""Suites under simulated platforms, for packages that are to work on macOS and Windows too."""
