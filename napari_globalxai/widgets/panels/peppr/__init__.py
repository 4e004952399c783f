"""The panel *PEPPR*: forms, curves, verdicts, scrubber, results side by side."""
