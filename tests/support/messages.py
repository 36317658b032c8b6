"""The words that many functions refuse an argument with, each in one place: to reword one, change it here.

A test writes f"n_steps: {A_WHOLE_NUMBER} >= 1". Words that only one file of tests has are in that file. The whole lines
of all refusals are in tests/robustness/refusals.json, which a command rewrites.
"""

# npgrad/_validate.py
A_WHOLE_NUMBER = "expected a whole number"
A_NUMBER = "expected a number"
FINITE_NUMBERS = "expected finite numbers"
# npgrad/_targets.py
AN_INDEX = "expected 0 to"
# npgrad/_files.py
NOT_WRITTEN = "cannot be written"
# npgrad/io/checkpoints.py
OTHER_SETTINGS = "made with other settings"
