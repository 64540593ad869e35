"""How old is this child, for the programme?"""

from __future__ import annotations

from datetime import date

CORRECTED_UNTIL = 730
"""Days: from 24 months of corrected age on, an early baby's age counts from birth."""


def age_days(born_on: date, on: date) -> int:
    """Days since birth, 0 on the day itself, negative before it (`born_on` is then the day the baby is due)."""
    return (on - born_on).days


def programme_age(born_on: date, on: date, weeks_early: int = 0) -> int:
    """The age in days by which tips and check-ins are chosen.

    A baby born `weeks_early` is that much younger in development until 24 months corrected; below zero means born, but
    not yet due.  Never use this for safe sleep or medicine: those go by `age_days`.
    """
    age = age_days(born_on, on)
    corrected = age - 7 * weeks_early
    return corrected if age >= 0 and corrected < CORRECTED_UNTIL else age
