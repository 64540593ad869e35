"""The only place that knows Telegram."""

import os

# Read by python-telegram-bot while it is imported: without it, reading `RetryAfter.retry_after` warns that the number of
# seconds will become a timedelta.  This is one of the two exceptions to "the environment is read in settings".
os.environ["PTB_TIMEDELTA"] = "1"
