"""The crash loop's short form: whatever dies when, no tip comes twice and nobody in distress goes unanswered."""

from __future__ import annotations

import pytest

from tests.reliability.crash_loop import crash_loop


@pytest.mark.timeout(180)
async def test_a_bot_that_is_killed_three_times_repeats_no_tip_and_loses_nobody_in_distress():
    verdict = await crash_loop(kills=3, tips=120, distress=12, seed_number=1)
    assert verdict.kept, verdict
