"""Golden transcripts: what the engine does, octet for octet, on virtual time.

Each transcript is a text that a script of this package builds anew in every run: messages, events,
deadlines, packets and samples.  `tests/data/golden/` has them as they were; `test_golden.py`
compares both.  A change of behaviour that is meant is written with `python -m tests.golden --write`
and shows in the diff of the files.
"""
