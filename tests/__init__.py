"""How is it known that the programme keeps its promises?  `python -m tests.…` finds the long forms through this file."""
